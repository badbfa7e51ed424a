"""Trains the model on the iris data that ships with scikit-learn, and writes model.pkl and preprocessor.pkl.

Pickles belong to the scikit-learn that wrote them, so the image is built by running this script with the pinned one.
"""

import argparse
from pathlib import Path

import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, default=Path("artifacts"))
    output = parser.parse_args().output

    features, target = load_iris(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(
        features, target, test_size=0.2, random_state=0, stratify=target
    )
    preprocessor = StandardScaler().fit(train_x)
    model = LogisticRegression(max_iter=500).fit(preprocessor.transform(train_x), train_y)
    print(f"accuracy {model.score(preprocessor.transform(test_x), test_y):.3f} on {len(test_y)} rows")

    output.mkdir(parents=True, exist_ok=True)
    joblib.dump(preprocessor, output / "preprocessor.pkl")
    joblib.dump(model, output / "model.pkl")


if __name__ == "__main__":
    main()

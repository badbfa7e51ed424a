"""Trains a classifier of handwritten digits and leaves it in MODEL_DIR, which is a volume of the host.

The data are the 8 × 8 digits that ship with scikit-learn: a small MNIST that needs no download.
"""

import argparse
import json
import os
import time
from pathlib import Path

import joblib
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import shuffle


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--model-dir", type=Path, default=Path(os.environ.get("MODEL_DIR", "/models")))
    return parser.parse_args()


def main() -> None:
    args = parse()
    features, labels = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(features / 16.0, labels, test_size=0.2, random_state=0)
    scaler = StandardScaler().fit(train_x)
    classifier = SGDClassifier(loss="log_loss", random_state=0)

    accuracy = 0.0
    for epoch in range(1, args.epochs + 1):
        started = time.monotonic()
        rows, targets = shuffle(scaler.transform(train_x), train_y, random_state=epoch)
        classifier.partial_fit(rows, targets, classes=list(range(10)))
        accuracy = classifier.score(scaler.transform(test_x), test_y)
        print(f"epoch {epoch}/{args.epochs} - accuracy {accuracy:.4f} - {time.monotonic() - started:.2f} s")

    args.model_dir.mkdir(parents=True, exist_ok=True)
    model = args.model_dir / "digits.joblib"
    joblib.dump(make_pipeline(scaler, classifier), model)
    (args.model_dir / "metrics.json").write_text(json.dumps({"accuracy": accuracy, "epochs": args.epochs}) + "\n")
    print(f"saved {model}")


if __name__ == "__main__":
    main()

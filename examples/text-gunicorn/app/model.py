"""A sentiment classifier, small enough to be fitted when a worker starts: no artefact to keep in step with scikit-learn."""

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from app.reviews import REVIEWS

LABELS = ("negative", "positive")


def train() -> Pipeline:
    texts, labels = zip(*REVIEWS)
    pipeline = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegression(C=10.0, max_iter=500),
    )
    return pipeline.fit(texts, labels)

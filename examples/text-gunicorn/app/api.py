"""POST /predict takes a list of texts and gives a label and a score for each."""

from contextlib import asynccontextmanager

from fastapi import FastAPI
from pydantic import BaseModel, Field

from app.model import LABELS, train

state: dict = {}


class Text(BaseModel):
    text: str = Field(min_length=1, max_length=10_000)


class PredictRequest(BaseModel):
    texts: list[Text] = Field(min_length=1, max_length=256)


class Prediction(BaseModel):
    label: str
    score: float


class PredictResponse(BaseModel):
    predictions: list[Prediction]


@asynccontextmanager
async def lifespan(_: FastAPI):
    state["model"] = train()
    yield
    state.clear()


app = FastAPI(title="Sentiment", version="1.0.0", lifespan=lifespan)


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/predict")
def predict(request: PredictRequest) -> PredictResponse:
    probabilities = state["model"].predict_proba([item.text for item in request.texts])
    return PredictResponse(
        predictions=[
            Prediction(label=LABELS[int(row.argmax())], score=float(row.max())) for row in probabilities
        ]
    )

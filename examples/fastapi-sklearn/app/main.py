"""The API: /health for the platform, /predict for the users."""

import os
from contextlib import asynccontextmanager
from pathlib import Path

import joblib
import numpy as np
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

ARTIFACTS = Path(os.environ.get("ARTIFACTS", "artifacts"))
FEATURES = 4

state: dict = {}


class PredictRequest(BaseModel):
    features: list[float] = Field(min_length=FEATURES, max_length=FEATURES)


class PredictResponse(BaseModel):
    prediction: int
    confidence: float


@asynccontextmanager
async def lifespan(_: FastAPI):
    state["preprocessor"] = joblib.load(ARTIFACTS / "preprocessor.pkl")
    state["model"] = joblib.load(ARTIFACTS / "model.pkl")
    yield
    state.clear()


app = FastAPI(title="Iris classifier", version="1.0.0", lifespan=lifespan)


@app.get("/health")
def health() -> dict[str, str]:
    if "model" not in state:
        raise HTTPException(status_code=503, detail="the model is not loaded")
    return {"status": "healthy"}


@app.post("/predict")
def predict(request: PredictRequest) -> PredictResponse:
    row = state["preprocessor"].transform(np.array([request.features]))
    probabilities = state["model"].predict_proba(row)[0]
    best = int(np.argmax(probabilities))
    return PredictResponse(prediction=best, confidence=float(probabilities[best]))

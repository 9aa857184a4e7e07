"""Predictions for images that the weights never saw become the temperatures that make probabilities mean what they say.

One temperature for the class, one for the mask's pixels (Guo et al., ICML 2017): they keep every ranking and every
outline at 0.5, and are hard to overfit.
"""

import dataclasses

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from tqdm import tqdm

from busi_model.network import CLASS_NAMES
from busi_model.operating_point import OperatingPoint
from busi_model.predict import Predictor
from busi_model.training.cases import Case
from busi_model.training.metrics import LOGIT_COLUMNS, PROBABILITY_COLUMNS

TEMPERATURE_RANGE = (0.2, 5.0)  # outside it something else is wrong than the scale
PIXELS_PER_CASE = 2000  # enough for one number, and no large lesion outweighs the rest


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Logits (N, K), class numbers (N,) -> the temperature with the least negative log-likelihood."""

    def loss(log_temperature):
        scaled = logits / np.exp(log_temperature)
        top = scaled.max(axis=1)
        log_sum = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
        return (log_sum - scaled[np.arange(len(labels)), labels]).mean()

    return float(np.exp(minimize_scalar(loss, bounds=np.log(TEMPERATURE_RANGE), method="bounded").x))


def class_temperature(table: pd.DataFrame) -> float:
    """The table of `evaluate_cases` -> class temperature."""
    labels = table["class_name"].map(CLASS_NAMES.index).to_numpy()
    return fit_temperature(table[LOGIT_COLUMNS].to_numpy(), labels)


def cross_fitted(table: pd.DataFrame) -> pd.DataFrame:
    """The table of several folds, each fold's probabilities by the temperature that the other folds give."""
    table = table.copy()
    for fold in table["fold"].unique():
        own = table["fold"] == fold
        point = OperatingPoint(temperature=class_temperature(table[~own]))
        table.loc[own, PROBABILITY_COLUMNS] = point.class_probabilities(table.loc[own, LOGIT_COLUMNS].to_numpy())
    return table


def sample_mask_pixels(predictor: Predictor, cases: list[Case], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Random pixels of every case: mask logits (M,) as the network gave them, truth bool (M,)."""
    rng = np.random.default_rng(seed)
    logits, truths = [], []
    for case in tqdm(cases, desc="calibrating", unit="image", leave=False):
        frame, truth = case.read()
        probability = predictor(frame).mask_probability
        chosen = rng.integers(truth.size, size=PIXELS_PER_CASE)
        p = np.clip(probability.ravel()[chosen].astype(np.float64), 1e-7, 1 - 1e-7)
        logits.append(np.log(p / (1 - p)) * predictor.operating_point.mask_temperature)
        truths.append(truth.ravel()[chosen])
    return np.concatenate(logits), np.concatenate(truths)


def fit_operating_point(predictor: Predictor, cases: list[Case], table: pd.DataFrame, fitted_on: str) -> OperatingPoint:
    """Held-out cases and their table -> the predictor's operating point with both temperatures fitted."""
    logits, truth = sample_mask_pixels(predictor, cases)
    two_class = np.stack([np.zeros_like(logits), logits], axis=1)
    return dataclasses.replace(
        predictor.operating_point,
        temperature=class_temperature(table),
        mask_temperature=fit_temperature(two_class, truth.astype(int)),
        fitted_on=fitted_on,
    )

"""Recurrent operators, put together again from cells that exporters unroll."""

from __future__ import annotations

from passes.blocks.recurrent.gru import unrolled_gru, unrolled_gru_end
from passes.blocks.recurrent.lstm import unrolled_lstm, unrolled_lstm_end

RULES = (unrolled_lstm, unrolled_lstm_end, unrolled_gru, unrolled_gru_end)

__all__ = ["RULES", "unrolled_gru", "unrolled_gru_end", "unrolled_lstm", "unrolled_lstm_end"]

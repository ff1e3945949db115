"""The local ensemble transform Kalman filter: an ensemble instead of a covariance, column by column."""

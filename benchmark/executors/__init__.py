"""Where trials go. An executor is a function (trials) → iterator of Outcomes."""

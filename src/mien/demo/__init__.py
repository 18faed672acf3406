"""The demonstration: corpus, preparation, pretraining, fine-tuning, evaluation and prediction on one machine."""

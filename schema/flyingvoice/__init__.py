"""What the vendor decides, as data: models, parameters and line key types."""

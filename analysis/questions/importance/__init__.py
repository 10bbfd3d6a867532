"""Which factors matter, by the SHAP values of a surrogate."""

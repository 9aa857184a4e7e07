"""How good predictions are: figures of cases, tables, reports and plots."""

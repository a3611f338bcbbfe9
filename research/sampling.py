"""What theory says of mini-batches that are drawn: closed forms."""

from research.statistics import finite_population as finite_population

"""The report as a page: one HTML file with its drawings inside, that needs no network and runs no script."""

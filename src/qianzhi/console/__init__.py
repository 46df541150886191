"""The web shell of either end: sign-in, sessions, layout, tables, charts, forms. It knows neither gateway nor hub."""

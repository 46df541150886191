"""The internet-healthcare supervision platform of Guangdong: data, rules, and the door to a hub of ours."""

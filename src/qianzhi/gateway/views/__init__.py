"""What people see of a gateway: each module answers one page's questions, and decides nothing about rows."""

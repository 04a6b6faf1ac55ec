"""What people are told: status, preview, explanations, the report of doctor."""

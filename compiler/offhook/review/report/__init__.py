"""The auditor's report on releases as text, JSON, CSV and a page: pure functions over what git gave."""

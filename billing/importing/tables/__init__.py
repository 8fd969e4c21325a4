"""Reading of people's tables (CSV, XLSX, XLS) by declared fields: mapping, checking line by line, staging by COPY."""

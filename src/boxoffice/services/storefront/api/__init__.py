"""The pages: request -> API calls -> HTML."""

from .figures import evaluate as evaluate

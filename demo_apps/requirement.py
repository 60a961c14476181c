"""An error of one sentence for a missing package."""

from types import TracebackType


class requires:
    """Context manager for imports. If `distribution` is missing, the error gives the pip command."""

    def __init__(self, distribution: str, module: str | None = None) -> None:
        self.distribution = distribution
        self.module = module or distribution.replace("-", "_")

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # A module that is missing inside the package is another fault and keeps its traceback.
        if isinstance(error, ModuleNotFoundError) and error.name == self.module:
            raise ModuleNotFoundError(
                f"This demo needs {self.distribution}: pip install {self.distribution}", name=self.module
            ) from None

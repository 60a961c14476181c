"""A missing package, told in one sentence."""

from types import TracebackType


class requires:
    """Imports made inside say what to install when `distribution` is not there."""

    def __init__(self, distribution: str, module: str | None = None) -> None:
        self.distribution = distribution
        self.module = module or distribution.replace("-", "_")

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Only the package itself: a module missing inside it is another story and keeps its traceback.
        if isinstance(error, ModuleNotFoundError) and error.name == self.module:
            raise ModuleNotFoundError(
                f"This demo needs {self.distribution}: pip install {self.distribution}", name=self.module
            ) from None

"""One file a library; ``LIBRARIES`` holds them in the order of the table."""

from tests.parity.libraries import (
    albumentations,
    colour_science,
    keras,
    kornia,
    monai,
    opencv,
    pillow,
    pytorch,
    scikit_image,
    scikit_learn,
    scipy,
    tensorflow,
    torchvision,
    transformers,
)

LIBRARIES = [
    file.LIBRARY
    for file in (
        opencv,
        pillow,
        scipy,
        scikit_learn,
        scikit_image,
        colour_science,
        pytorch,
        torchvision,
        kornia,
        keras,
        tensorflow,
        albumentations,
        monai,
        transformers,
    )
]
CASES = [case for library in LIBRARIES for case in library.cases]

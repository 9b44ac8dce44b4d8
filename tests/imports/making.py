"""Files as the other programs write them."""

from __future__ import annotations

import io

import numpy as np

# src/caffe/proto/caffe.proto, messages BlobShape and BlobProto.
_FIELDS = (
    # name, number, type, label, packed
    ("num", 1, "INT32", "OPTIONAL", False),
    ("channels", 2, "INT32", "OPTIONAL", False),
    ("height", 3, "INT32", "OPTIONAL", False),
    ("width", 4, "INT32", "OPTIONAL", False),
    ("data", 5, "FLOAT", "REPEATED", True),
    ("diff", 6, "FLOAT", "REPEATED", True),
    ("double_data", 8, "DOUBLE", "REPEATED", True),
    ("double_diff", 9, "DOUBLE", "REPEATED", True),
)


def blob_class(*, packed: bool = True):
    """Caffe's BlobProto as a class of the protobuf library itself."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name=f"caffe_{packed}.proto", package="caffe")
    shape = file.message_type.add(name="BlobShape")
    dim = shape.field.add(name="dim", number=1, type="TYPE_INT64", label="LABEL_REPEATED")
    dim.options.packed = packed
    blob = file.message_type.add(name="BlobProto")
    blob.field.add(
        name="shape",
        number=7,
        type="TYPE_MESSAGE",
        type_name=".caffe.BlobShape",
        label="LABEL_OPTIONAL",
    )
    for name, number, kind, label, is_packed in _FIELDS:
        field = blob.field.add(
            name=name, number=number, type=f"TYPE_{kind}", label=f"LABEL_{label}"
        )
        if is_packed:
            field.options.packed = packed
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("caffe.BlobProto"))


def binaryproto(
    pixels: np.ndarray, *, legacy: bool = True, packed: bool = True, double: bool = False
) -> bytes:
    """``pixels`` (C, H, W) as compute_image_mean writes them."""
    blob = blob_class(packed=packed)()
    if legacy:
        blob.num, (blob.channels, blob.height, blob.width) = 1, pixels.shape
    else:
        blob.shape.dim.extend([1, *pixels.shape])
    (blob.double_data if double else blob.data).extend(pixels.ravel().tolist())
    return blob.SerializeToString()


def npy(array: np.ndarray, **how: bool) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **how)
    return stream.getvalue()


def mean_image(height: int = 12, width: int = 12, seed: int = 0) -> np.ndarray:
    """A mean image as Caffe has it: (B, G, R), rows, columns, on 0–255, red above blue."""
    rng = np.random.default_rng(seed)
    base = np.array([104.0, 117.0, 123.0])[:, None, None]
    return (base + rng.normal(0, 6, (3, height, width))).astype(np.float32)

from __future__ import annotations

import numpy as np
import pytest

from normviz.errors import LimitError, ReadError
from normviz.read import Limits, read
from tests.read.making import RGB, RNG, npy, npy_promising, npz, zipped


def of(array: np.ndarray):
    return read(("a.npy", npy(array)))


BYTES = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)


@pytest.mark.parametrize(
    ("shape", "count", "image_shape", "said"),
    [
        ((4, 5), 1, (4, 5, 1), "one grey image of 5 × 4"),
        ((4, 5, 3), 1, (4, 5, 3), "one image, channels last"),
        ((4, 5, 1), 1, (4, 5, 1), "one image, channels last"),
        ((4, 5, 4), 1, (4, 5, 3), "one image, channels last"),
        ((3, 4, 5), 1, (4, 5, 3), "one image, channels first"),
        ((1, 4, 5), 1, (4, 5, 1), "one image, channels first"),
        ((3, 5, 3), 1, (3, 5, 3), "the last axis wins"),
        ((6, 4, 5), 6, (4, 5, 1), "6 grey images of 5 × 4"),
        ((6, 4, 5, 3), 6, (4, 5, 3), "6 images, channels last"),
        ((6, 4, 5, 1), 6, (4, 5, 1), "6 images, channels last"),
        ((6, 3, 4, 5), 6, (4, 5, 3), "6 images, channels first"),
        ((6, 3, 5, 3), 6, (3, 5, 3), "the last axis wins"),
        ((4, 5, 3, 6), 6, (4, 5, 3), "order height, width, channel, image"),
    ],
)
def test_layouts(shape, count, image_shape, said):
    photos = of(RNG.integers(0, 256, shape, dtype=np.uint8))
    assert len(photos) == count
    assert photos[0].pixels.shape == image_shape
    assert said in photos.notes[0]


def test_pixels_come_out_as_they_were_put_in():
    photos = of(BYTES)
    assert np.array_equal(photos[1].pixels, BYTES[1])
    first = of(BYTES.transpose(0, 3, 1, 2))
    assert np.array_equal(first[1].pixels, BYTES[1])
    last = of(BYTES.transpose(1, 2, 3, 0))
    assert np.array_equal(last[1].pixels, BYTES[1])
    alone = of(BYTES[1].transpose(2, 0, 1))
    assert np.array_equal(alone[0].pixels, BYTES[1])
    fortran = of(np.asfortranarray(BYTES))
    assert np.array_equal(fortran[1].pixels, BYTES[1])
    swapped = of(BYTES.astype(">u2") * 257)
    assert swapped[0].pixels.dtype == np.uint16
    assert np.array_equal(swapped[1].pixels, BYTES[1].astype(np.uint16) * 257)
    assert photos.paths == ["a.npy[0]", "a.npy[1]"]


def test_a_path_is_mapped_and_takes_no_memory(tmp_path):
    np.save(tmp_path / "set.npy", BYTES)
    photos = read(tmp_path / "set.npy")
    assert photos.nbytes == 0
    assert np.array_equal(photos[1].pixels, BYTES[1])
    np.save(tmp_path / "fortran.npy", np.asfortranarray(BYTES))
    assert np.array_equal(read(tmp_path / "fortran.npy")[0].pixels, BYTES[0])
    assert of(BYTES).nbytes == BYTES.nbytes


def test_an_image_does_not_follow_the_file(tmp_path):
    np.save(tmp_path / "set.npy", BYTES)
    image = read(tmp_path / "set.npy")[0]
    np.save(tmp_path / "set.npy", BYTES * 0)
    assert np.array_equal(image.pixels, BYTES[0])


@pytest.mark.parametrize(
    ("array", "dtype", "value_range", "said"),
    [
        (np.array([[True, False]] * 2), np.uint8, (0, 255), "false and true stored as 0 and 255"),
        (np.array([[0, 255]] * 2, np.int64), np.uint8, (0, 255), "int64 within 0–255"),
        (np.array([[0, 256]] * 2, np.int32), np.uint16, (0, 65535), "int32 within 0–65535"),
        (np.array([[0, 1.0]] * 2, np.float32), np.float32, (0, 1), "value range taken as 0–1"),
        (np.array([[0, 9.5]] * 2), np.float32, (0, 255), "float64 stored as float32, float values"),
        (np.array([[-1, 0.5]] * 2, np.float16), np.float32, (-1, 1), "value range taken as −1–1"),
        (np.array([[-3, 4.0]] * 2, np.float32), np.float32, (-3, 4), "its own lowest to highest"),
        (np.full((2, 2), -7, np.float32), np.float32, (-7, 0), "all alike"),
    ],
)
def test_number_types(array, dtype, value_range, said):
    photos = of(array)
    image = photos[0]
    assert image.pixels.dtype == dtype
    assert image.value_range == value_range
    factor = 255 if array.dtype == bool else 1
    assert np.array_equal(image.pixels[:, :, 0], array.astype(dtype) * dtype(factor))
    assert said in photos.notes[0] + photos.notes[1]
    assert said in image.notes[0]


def test_value_range_is_one_for_the_whole_array():
    stack = np.zeros((3, 4, 5), np.float32)
    stack[2, 0, 0] = 200
    assert {image.value_range for image in of(stack)} == {(0, 255)}


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.array([[{}]], dtype=object), "it holds Python objects (a pickle)"),
        (np.zeros((2, 2), np.complex64), "it holds complex numbers"),
        (np.array([["a", "b"]]), "it holds text"),
        (np.zeros((2, 2), "f4,f4"), "it holds records of several fields"),
        (np.zeros((2, 2), "M8[s]"), "it holds dates"),
        (np.zeros((0, 5), np.uint8), "its shape (0, 5) holds no image"),
        (np.zeros((3, 0, 5, 3), np.uint8), "its shape (3, 0, 5, 3) holds no image"),
        (np.zeros((), np.uint8), "it is a single number"),
        (np.zeros(12, np.uint8), "shape (12,) is not a layout of images"),
        (np.zeros((1, 2, 2, 2, 3), np.uint8), "shape (1, 2, 2, 2, 3) is not a layout"),
        (np.zeros((5, 5, 2), np.uint8), "shape (5, 5, 2) has two channels"),
        (np.zeros((5, 5, 5, 5), np.uint8), "shape (5, 5, 5, 5) is not a layout"),
        (np.array([[-1, 5]] * 2), "its whole numbers (int64) run from -1 to 5"),
        (np.array([[0, 65536]] * 2), "its whole numbers (int64) run from 0 to 65536"),
        (np.array([[0, 1e300]] * 2), "its values run from 0 to 1e+300, beyond what float32"),
    ],
)
def test_arrays_that_are_no_images(array, reason):
    with pytest.raises(ReadError) as caught:
        of(array)
    assert caught.value.path == "a.npy"
    assert caught.value.reason.startswith(reason)
    assert caught.value.remedy


def test_an_object_array_is_refused_on_disk_too(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    with pytest.raises(ReadError, match="a pickle"):
        read(tmp_path / "a.npy")


@pytest.mark.parametrize("shape", ["(1000000, 1000000)", "(10, 10, 3)", f"({2**62}, {2**62}, 4)"])
def test_a_promise_beyond_the_file_is_refused(tmp_path, shape):
    data = npy_promising(shape, body=bytes(299))
    (tmp_path / "a.npy").write_bytes(data)
    for source in (("a.npy", data), tmp_path / "a.npy"):
        with pytest.raises(ReadError, match="the file holds 299"):
            read(source)


@pytest.mark.parametrize(
    "data",
    [
        b"\x93NUMPY",
        b"\x93NUMPY\x09\0" + bytes(30),
        npy_promising("(-1, 5)"),
        npy_promising("'ab'"),
        npy_promising("(2, 2)", dtype="no such type"),
        npy_promising("(" * 3000),
        b"\x93NUMPY\x02\0\xff\xff\xff\xff" + bytes(50),
        b"plain text",
    ],
)
def test_damaged_headers(data):
    with pytest.raises(ReadError, match="NumPy header is damaged"):
        read(("a.npy", data))


def test_nan_and_infinity_are_named_with_index_and_position():
    stack = np.zeros((3, 4, 5, 3), np.float32)
    stack[1, 2, 3, 0] = np.nan
    stack[2, 0, 0, 2] = -np.inf
    photos = of(stack)
    assert [image.path for image in photos] == ["a.npy[0]"]
    assert [p.path for p in photos.problems] == ["a.npy[1]", "a.npy[2]"]
    assert photos.problems[0].reason.startswith("NaN at row 2, column 3, channel 0")
    assert photos.problems[1].reason.startswith("minus infinity at row 0, column 0, channel 2")


def test_nan_does_not_hide_the_value_range_of_the_others():
    stack = np.full((2, 4, 5), 200, np.float32)
    stack[1, 0, 0] = np.nan
    assert of(stack)[0].value_range == (0, 255)


def test_an_image_of_an_array_may_not_be_too_large():
    with pytest.raises(LimitError, match="5 × 4 pixels"):
        read(("a.npy", npy(BYTES)), limits=Limits(max_pixels_per_image=19))
    with pytest.raises(LimitError, match="holds 2 images, the limit is 1"):
        read(("a.npy", npy(BYTES)), limits=Limits(max_images=1))


def test_npz_finds_images_labels_and_class_names():
    data = npz(
        ytr=np.array([1, 0]), names=np.array(["night", "day"]), xtr=BYTES, xdark=BYTES // 2,
        ydark=np.array([0, 0]),
    )  # fmt: skip
    photos = read(("set.npz", data))
    assert photos.paths == ["set.npz/xtr[0]", "set.npz/xtr[1]"]
    assert photos.labels == ["day", "night"]
    assert np.array_equal(photos[1].pixels, BYTES[1])
    assert photos[1].label == "night"
    assert photos.notes[1] == "set.npz: labels from 'ytr', class names from 'names'"
    assert "it also holds images in 'xdark'" in photos.notes[2]
    dark = read(("set.npz", data), member="xdark")
    assert dark.labels == ["night", "night"]
    assert np.array_equal(dark[1].pixels, BYTES[1] // 2)
    with pytest.raises(ReadError, match="it holds no array 'xnone'"):
        read(("set.npz", data), member="xnone")


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.array([1, 0, 1]), "'labels' is not taken as labels; it holds 3 values of type int64"),
        (np.array([0.5, 0.25]), "it holds 2 values of type float64 for 2 images"),
        (np.array([[1, 1], [0, 1]]), "it holds 2 × 2 values of type int64 for 2 images"),
        (np.array([[0.3, 0.7], [0.6, 0.4]]), "it holds 2 × 2 values of type float64"),
        (np.array([0.0, np.inf]), "it holds 2 values of type float64 for 2 images"),
    ],
)
def test_labels_that_do_not_fit_the_images_are_named(labels, said):
    photos = read(("set.npz", npz(images=BYTES, labels=labels)))
    assert photos.labels == [None, None]
    assert said in photos.notes[1]


FOUR = np.zeros((4, 4, 5, 3), np.uint8)


@pytest.mark.parametrize(
    ("labels", "read_as", "said"),
    [
        (np.eye(3)[[0, 2, 1, 2]], ["0", "2", "1", "2"], "labels from 'y', a 1 a row"),
        (np.eye(3, dtype=bool)[[0, 2, 1, 2]], ["0", "2", "1", "2"], ", a 1 a row"),
        (np.array([[1, 0], [0, 0], [0, 1], [1, 0]]), ["0", "", "1", "0"], "1 of 4 have none"),
        (np.array([0.0, 2.0, np.nan, 1.0]), ["0", "2", "", "1"], "1 of 4 have none"),
        (np.array([0, 1, -1, -1]), ["0", "1", "", ""], "2 of 4 have none (−1, NaN or no class)"),
        (np.array([-1, 1, -1, 1]), ["-1", "1", "-1", "1"], "labels from 'y'"),
    ],
)
def test_npz_labels_as_rows_with_nan_and_without_a_class(labels, read_as, said):
    photos = read(("set.npz", npz(x=FOUR, y=labels)))
    assert photos.labels == read_as
    assert said in photos.notes[1]


def test_npz_class_names_stand_where_there_is_a_label():
    names = np.array(["cat", "dog"])
    photos = read(("set.npz", npz(x=FOUR, y=np.array([0, 1, -1, 1]), names=names)))
    assert photos.labels == ["cat", "dog", "", "dog"]
    beyond = read(("set.npz", npz(x=FOUR, y=np.array([0, 1, 2, 1]), names=names)))
    assert beyond.labels == ["0", "1", "2", "1"]


def test_one_image_needs_no_label():
    photos = read(("set.npz", npz(x=FOUR[:1], y=np.array([3]))))
    assert photos.labels == [None]
    assert not [note for note in photos.notes if "labels" in note]


def test_numbers_of_another_name_are_no_labels():
    features = np.eye(4)
    photos = read(("set.npz", npz(x=FOUR, features=features, scores=np.arange(4.0))))
    assert photos.labels == [None] * 4


def test_npz_with_one_array_of_any_name():
    photos = read(("set.npz", npz(anything=BYTES, weights=np.zeros(9))))
    assert photos.paths[0] == "set.npz/anything[0]"
    assert photos.labels == [None, None]
    alone = read(("one.npz", npz(picture=RGB[:, :, 0])))
    assert np.array_equal(alone[0].pixels[:, :, 0], RGB[:, :, 0])


def test_npz_with_text_labels():
    photos = read(("set.npz", npz(images=BYTES, labels=np.array(["a", "b"]))))
    assert photos.labels == ["a", "b"]


def test_npz_without_images_or_with_a_pickle():
    with pytest.raises(ReadError, match=r"it holds no array of images, but a \(3,\)"):
        read(("set.npz", npz(a=np.zeros(3))))
    with pytest.raises(ReadError, match="a pickle"):
        read(("set.npz", npz(images=np.array([{}], dtype=object))))
    photos = read(("set.npz", npz(images=BYTES, extra=np.array([{}], dtype=object))))
    assert len(photos) == 2
    assert [p.path for p in photos.problems] == ["set.npz/extra.npy"]


def test_npz_member_that_promises_more_than_it_holds():
    data = zipped({"images.npy": npy_promising("(1000, 1000, 1000)", body=bytes(50))})
    with pytest.raises(ReadError, match="promises 1,000,000,000 bytes"):
        read(("set.npz", data))


def test_npz_takes_bounded_memory():
    data = npz(images=np.zeros((4, 100, 100), np.uint8))
    with pytest.raises(LimitError, match="NORMVIZ_MAX_MEMORY_BYTES"):
        read(("set.npz", data), limits=Limits(max_memory_bytes=30_000))
    with pytest.raises(LimitError, match="archive bomb"):
        read(("set.npz", data), limits=Limits(ratio_applies_above=1000))


def test_damaged_npz():
    data = npz(images=BYTES)
    with pytest.raises(ReadError, match="the zip is damaged"):
        read(("set.npz", data[: len(data) // 2]))
    with pytest.raises(ReadError, match="the zip is damaged"):
        read(("set.npz", b"no zip at all"))

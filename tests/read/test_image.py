from __future__ import annotations

import io
import struct

import cv2
import numpy as np
import PIL.Image
import PIL.ImageCms
import pytest

from normviz.errors import LimitError, ReadError
from normviz.read import Limits
from normviz.read.image import decode, is_image
from tests.read.making import GREY, RGB, RNG, chunk, encoded, png, png16

LIMITS = Limits()


def opened(data: bytes, name: str = "photo", limits: Limits = LIMITS):
    return decode(data, name, limits)


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
@pytest.mark.parametrize("pixels", [RGB, GREY], ids=["rgb", "grey"])
def test_lossless_formats_give_back_the_pixels(form, pixels):
    image = opened(encoded(pixels, form, **({"lossless": True} if form == "WEBP" else {})))
    assert image.pixels.dtype == np.uint8
    stored = pixels.reshape(5, 9, -1)
    if form == "WEBP":  # which has no grey
        stored = np.broadcast_to(stored, RGB.shape)
    assert np.array_equal(image.pixels, stored)
    assert image.value_range == (0, 255)
    assert image.notes == ()
    assert not image.pixels.flags.writeable


def test_jpeg_comes_close_and_keeps_one_channel():
    smooth = np.add.outer(np.arange(24), np.arange(40)).astype(np.uint8) * 3
    image = opened(encoded(smooth, "JPEG", quality=95))
    assert image.pixels.shape == (24, 40, 1)
    assert np.abs(image.pixels[:, :, 0].astype(int) - smooth).max() <= 4


def test_16_bit_grey_png_and_tiff_keep_every_bit():
    words = RNG.integers(0, 65536, (4, 7, 1), dtype=np.uint16)
    for data in (png16(words), encoded(words[:, :, 0], "TIFF")):
        image = opened(data)
        assert image.pixels.dtype == np.uint16
        assert np.array_equal(image.pixels, words)
        assert image.value_range == (0, 65535)


def test_big_endian_16_bit_tiff_is_read_in_its_own_order():
    words = np.array([[1, 256], [515, 65534]], np.uint16)
    data = _tiff(words.astype(">u2").tobytes(), 2, 2, b"MM", bits=16)
    assert np.array_equal(opened(data).pixels[:, :, 0], words)


def _tiff(
    body: bytes, width: int, height: int, order: bytes, bits: int, photometric: int = 1
) -> bytes:
    mark = ">" if order == b"MM" else "<"
    fields = [
        (256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 1), (262, 3, photometric),
        (273, 4, 8 + 2 + 12 * 10 + 4), (277, 3, 1), (278, 4, height), (279, 4, len(body)),
        (339, 3, 1),
    ]  # fmt: skip
    data = order + struct.pack(mark + "HI", 42, 8) + struct.pack(mark + "H", len(fields))
    for tag, of, value in fields:
        packed = struct.pack(mark + {4: "I", 3: "Hxx"}[of], value)
        data += struct.pack(mark + "HHI", tag, of, 1) + packed
    return data + bytes(4) + body


SIXTEEN = "16 bits a channel, value range 0–65535"


def test_white_is_zero_in_16_bits_is_inverted_and_said():
    words = np.array([[0, 1, 65535]], np.uint16)
    image = opened(_tiff(words.tobytes(), 3, 1, b"II", bits=16, photometric=0))
    assert image.pixels.ravel().tolist() == [65535, 65534, 0]
    assert image.notes == (SIXTEEN, "inverted, because white is zero in this file")


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("form", ["png", "tiff"])
def test_16_bit_colour_keeps_every_bit(channels, form):
    words = RNG.integers(0, 65536, (4, 7, channels), dtype=np.uint16)
    if form == "png":
        data = png16(words)
    else:
        order = [2, 1, 0, 3][:channels]
        data = cv2.imencode(".tiff", words[:, :, order])[1].tobytes()
    image = opened(data)
    assert image.pixels.dtype == np.uint16
    assert np.array_equal(image.pixels, words[:, :, :3])
    expected = ("alpha dropped, colours as stored (100 % of the pixels are not opaque)",)
    assert image.notes == (SIXTEEN, *(expected if channels == 4 else ()))


def test_16_bit_grey_with_alpha_stays_one_channel():
    words = RNG.integers(0, 65535, (4, 8, 2), dtype=np.uint16)
    words[:, :4, 1] = 65535
    image = opened(png16(words))
    assert np.array_equal(image.pixels, words[:, :, :1])
    said = "alpha dropped, colours as stored (50 % of the pixels are not opaque)"
    assert image.notes == (SIXTEEN, said)


def test_16_bit_ppm_and_pgm():
    words = RNG.integers(0, 65536, (2, 5, 3), dtype=np.uint16)
    colour = opened(b"P6\n# a comment\n5 2\n65535\n" + words.astype(">u2").tobytes())
    assert np.array_equal(colour.pixels, words)
    assert colour.notes == (SIXTEEN,)
    grey = opened(b"P5 5 2 65535\n" + words[:, :, 0].astype(">u2").tobytes())
    assert np.array_equal(grey.pixels[:, :, 0], words[:, :, 0])
    low = np.array([[0, 1023, 512]], ">u2")
    scaled = opened(b"P5 3 1 1023\n" + low.tobytes())
    assert scaled.pixels.ravel().tolist() == [0, 65535, round(512 * 65535 / 1023)]
    assert scaled.notes == ("levels 0–1023 scaled to 0–65535",)
    both = opened(b"P6 1 1 1023\n" + low.tobytes())
    assert both.pixels.ravel().tolist() == [0, 65535, round(512 * 65535 / 1023)]
    assert both.notes == ("levels 0–1023 scaled to 0–65535",)


def test_bits_that_are_lost_are_said():
    image = opened(b"P3 1 1 65535\n256 65535 0\n")
    assert image.pixels.ravel().tolist() == [1, 255, 0]
    assert image.notes == ("16 bits a channel reduced to 8",)
    deep = RNG.integers(0, 65536, (64, 64, 3), dtype=np.uint16)
    jpeg2000 = cv2.imencode(".jp2", deep)[1].tobytes()
    assert opened(jpeg2000).notes == ("16 bits a channel reduced to 8",)
    avif = cv2.imencode(".avif", deep // 64, [cv2.IMWRITE_AVIF_DEPTH, 10])[1].tobytes()
    assert opened(avif).notes == ("10 bits a channel reduced to 8",)


def test_a_chunk_that_promises_too_much_is_not_handed_to_opencv():
    data = png16(RNG.integers(0, 65536, (4, 7, 3), dtype=np.uint16))
    long_chunk = data[:33] + b"\x7f" + data[34:]
    image = opened(long_chunk)
    assert image.pixels.dtype == np.uint8
    assert image.notes == ("16 bits a channel reduced to 8",)


def test_32_bit_whole_numbers():
    small = np.array([[0, 65535], [7, 300]], np.int32)
    image = opened(encoded(small, "TIFF"))
    assert image.pixels.dtype == np.uint16
    assert np.array_equal(image.pixels[:, :, 0], small)
    assert image.notes == ("32-bit whole numbers within 0–65535 stored as uint16",)
    signed = opened(encoded(small - 1, "TIFF"))
    assert signed.pixels.dtype == np.float32
    assert signed.value_range == (-1, 65534)
    assert "whole numbers -1 to 65534 stored as float32" in signed.notes[0]


def test_unsigned_32_bit_tiff_does_not_turn_negative():
    numbers = np.array([[0, 4_000_000_000]], np.uint32)
    image = opened(_tiff(numbers.tobytes(), 2, 1, b"II", bits=32))
    assert image.value_range == (0, 4_000_000_000)
    assert "16,777,216" in image.notes[0]


def test_float_tiff_declares_its_range():
    unit = np.array([[0.25, 1.0], [0.0, 0.5]], np.float32)
    image = opened(encoded(unit, "TIFF"))
    assert np.array_equal(image.pixels[:, :, 0], unit)
    assert image.value_range == (0, 1)
    assert image.notes == ("float values, value range taken as 0–1",)
    wide = opened(encoded(unit * 40 - 10, "TIFF"))
    assert wide.value_range == (-10, 30)
    assert wide.notes == ("float values -10 to 30, value range taken as its own lowest to highest",)
    flat = opened(encoded(np.full((2, 2), 9, np.float32), "TIFF"))
    assert flat.value_range == (0, 255)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_colour_tiff_that_pillow_refuses_is_read(dtype):
    values = RNG.random((3, 6, 3)).astype(dtype)
    data = cv2.imencode(".tiff", values[:, :, ::-1])[1].tobytes()
    image = opened(data)
    assert np.array_equal(image.pixels, values.astype(np.float32))
    assert ("float64 stored as float32" in image.notes) == (dtype == np.float64)


def test_nan_in_a_float_tiff_is_named_with_its_position():
    values = np.zeros((3, 4), np.float32)
    values[2, 1] = np.nan
    with pytest.raises(ReadError) as caught:
        opened(encoded(values, "TIFF"), "dark.tif")
    assert caught.value.path == "dark.tif"
    assert caught.value.reason.startswith("NaN at row 2, column 1, channel 0")
    assert caught.value.remedy == "Replace it before loading"


def test_one_bit_is_0_and_255():
    bits = np.array([[True, False, True]])
    image = opened(encoded(PIL.Image.fromarray(bits), "PNG"))
    assert image.pixels.ravel().tolist() == [255, 0, 255]
    assert image.notes == ("1 bit a pixel, stored as 0 and 255",)


def test_palette_becomes_rgb_even_when_grey():
    picture = PIL.Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 40, 50, 60])
    picture.putpixel((1, 0), 1)
    image = opened(encoded(picture))
    assert image.pixels.tolist() == [[[10, 20, 30], [40, 50, 60]]]
    assert image.notes == ("palette turned into RGB",)
    clear = opened(encoded(picture, transparency=1))
    assert clear.pixels.tolist() == [[[10, 20, 30], [40, 50, 60]]]
    assert clear.notes[1] == "alpha dropped, colours as stored (50 % of the pixels are not opaque)"


def test_alpha_is_dropped_and_counted():
    rgba = np.dstack([RGB, np.full((5, 9), 255, np.uint8)])
    assert opened(encoded(rgba)).notes == ("alpha dropped (every pixel is opaque)",)
    rgba[0, 0, 3] = 0
    image = opened(encoded(rgba))
    assert np.array_equal(image.pixels, RGB)
    assert image.notes == ("alpha dropped, colours as stored (2 % of the pixels are not opaque)",)
    rgba = np.zeros((20, 20, 4), np.uint8)
    rgba[:, :, 3] = 255
    rgba[0, 0, 3] = 1
    assert "under 1 %" in opened(encoded(rgba)).notes[0]


def test_grey_with_alpha_stays_grey():
    la = np.dstack([GREY, np.where(GREY > 0, 255, 9).astype(np.uint8)])
    image = opened(encoded(PIL.Image.fromarray(la, "LA")))
    assert np.array_equal(image.pixels[:, :, 0], GREY)


def test_colour_key_is_said():
    assert opened(encoded(RGB, transparency=(1, 2, 3))).notes == (
        "one colour is marked transparent and was kept",
    )


def test_cmyk_jpeg_becomes_rgb():
    picture = PIL.Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    image = opened(encoded(picture, "JPEG", quality=95))
    red, green, blue = image.pixels[8, 8].tolist()
    assert red > 245 and green < 10 and blue < 10
    assert image.notes == ("CMYK turned into RGB by the plain formula, without its colour profile",)


def test_lab_tiff_becomes_srgb():
    picture = PIL.Image.new("LAB", (3, 2), (255, 128, 128))  # white
    image = opened(encoded(picture, "TIFF"))
    assert image.pixels.min() >= 253
    assert image.notes == ("CIELAB turned into sRGB",)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied_and_said(turn, form):
    exif = PIL.Image.Exif()
    exif[274] = turn
    options = {"lossless": True} if form == "WEBP" else {}
    image = opened(encoded(RGB, form, exif=exif, **options))
    expected = {
        1: RGB,
        2: RGB[:, ::-1],
        3: RGB[::-1, ::-1],
        4: RGB[::-1],
        5: RGB.swapaxes(0, 1),
        6: np.rot90(RGB, -1),
        7: np.rot90(RGB, 2).swapaxes(0, 1),
        8: np.rot90(RGB, 1),
    }[turn]
    assert np.array_equal(image.pixels, expected)
    if turn == 1:
        assert image.notes == ()
    else:
        assert image.notes[0].endswith(f"as its EXIF orientation ({turn}) asks")
    if turn == 6:
        assert image.notes[0].startswith("turned clockwise by 90°")


def test_orientation_holds_for_16_bit_colour_too():
    words = RNG.integers(0, 65536, (4, 7, 3), dtype=np.uint16)
    exif = PIL.Image.Exif()
    exif[274] = 8
    data = png16(words)
    block = chunk(b"eXIf", exif.tobytes()[6:])
    image = opened(data[:33] + block + data[33:])
    assert np.array_equal(image.pixels, np.rot90(words))


def test_first_frame_of_an_animation_is_taken_and_said():
    frames = [PIL.Image.new("L", (4, 3), level) for level in (10, 20, 30)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    image = opened(data)
    assert (image.pixels == 10).all()
    assert "frame 1 of 3" in image.notes
    pages = encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    assert "page 1 of 3" in opened(pages).notes
    webp = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert "frame 1 of 3" in opened(webp).notes


def test_a_colour_profile_is_named_and_not_applied():
    lab = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("LAB")).tobytes()
    image = opened(encoded(RGB, icc_profile=lab))
    assert np.array_equal(image.pixels, RGB)
    assert image.notes == ("colour profile “Lab identity built-in” not applied, numbers as stored",)
    srgb = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    assert opened(encoded(RGB, icc_profile=srgb)).notes == ()
    broken = opened(encoded(RGB, icc_profile=b"nonsense" * 30))
    assert broken.notes == ("colour profile “unreadable” not applied, numbers as stored",)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "BMP", "GIF", "WEBP"])
def test_truncated_files_are_named(form):
    noise = RNG.integers(0, 256, (64, 80, 3), dtype=np.uint8)
    data = encoded(noise, form)
    with pytest.raises(ReadError) as caught:
        opened(data[: len(data) * 2 // 3], f"half.{form.lower()}")
    assert caught.value.path == f"half.{form.lower()}"
    assert caught.value.remedy == "Copy or download it again"
    if form in ("JPEG", "PNG", "BMP"):
        assert caught.value.reason == "the image is cut off or damaged in the middle"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"Dear all, no photo here", "it is text (“Dear all, no photo here…”), not an image"),
        (b"<!DOCTYPE html><html>", "it is a web page or XML, not an image"),
        (bytes(100), "it starts with zeros only, not like an image"),
        (b"\x89PNG\r\n\x1a\n", "the image is cut off or damaged at its start"),
        (b"\xff\xd8\xff\xe0" + bytes(9), "the image is cut off or damaged"),
        (b"\x07\x08\xfe\xff" * 9, "it is not an image that is read here (it starts with 07 08"),
    ],
)
def test_what_is_no_image_is_told_by_what_it_is(data, reason):
    with pytest.raises(ReadError) as caught:
        opened(data, "renamed.jpg")
    assert caught.value.reason.startswith(reason)
    assert caught.value.remedy


def test_eps_is_never_handed_to_ghostscript():
    with pytest.raises(ReadError):
        opened(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n")


@pytest.mark.parametrize("side", [50_000, 9_000])
def test_a_png_bomb_is_refused_from_its_header(side):
    with pytest.raises(LimitError) as caught:
        opened(png(side, side, 8, 2, b""), "bomb.png")
    assert "the limit is 64 megapixels" in caught.value.reason
    assert f"{side * side / 1e6:,.0f}" in caught.value.reason
    assert "NORMVIZ_MAX_PIXELS_PER_IMAGE" in caught.value.remedy


def test_pixel_limit_is_exact_and_adjustable():
    assert opened(encoded(RGB), limits=Limits(max_pixels_per_image=45)).pixels.shape == (5, 9, 3)
    with pytest.raises(LimitError, match="9 × 5 pixels"):
        opened(encoded(RGB), limits=Limits(max_pixels_per_image=44))


def test_pillow_bound_is_lifted_for_a_higher_limit_and_put_back():
    before = PIL.Image.MAX_IMAGE_PIXELS
    limits = Limits(max_pixels_per_image=10**12)
    with pytest.raises(ReadError) as caught:
        opened(png(50_000, 50_000, 8, 0, b"")[:60], limits=limits)
    assert not isinstance(caught.value, LimitError)
    assert before == PIL.Image.MAX_IMAGE_PIXELS


def _with_tags(data: bytes, **values: int) -> bytes:
    """Change the values of a little-endian TIFF's tags, named t256 and so on."""
    changed = bytearray(data)
    ifd = struct.unpack_from("<I", data, 4)[0]
    for at in range(ifd + 2, ifd + 2 + 12 * struct.unpack_from("<H", data, ifd)[0], 12):
        tag, _, count = struct.unpack_from("<HHI", data, at)
        if f"t{tag}" in values:
            assert count == 1
            struct.pack_into("<HHII", changed, at, tag, 4, 1, values[f"t{tag}"])
    return bytes(changed)


def test_a_float_tiff_bomb_is_refused_from_its_header():
    data = cv2.imencode(".tiff", np.zeros((2, 3, 3), np.float32))[1].tobytes()
    assert _with_tags(data) == data
    with pytest.raises(LimitError, match="60000 × 50000 pixels"):
        opened(_with_tags(data, t256=60_000, t257=50_000), "bomb.tif")
    with pytest.raises(ReadError, match="more than 4 channels"):
        opened(_with_tags(data, t277=60_000), "bomb.tif")


def test_bytes_of_a_file_are_limited():
    with pytest.raises(LimitError, match="the limit is 10 bytes a file"):
        opened(encoded(RGB), limits=Limits(max_bytes_per_file=10))


def test_formats_are_told_by_their_first_bytes():
    for form in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "AVIF", "JPEG2000"):
        assert is_image(encoded(RGB, form)), form
    assert not is_image(b"PK\x03\x04")
    assert not is_image(io.BytesIO(b"%PDF").getvalue())


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_has_the_pixels_that_pillow_gives(mode, subsampling, progressive):
    rng = np.random.default_rng(0)
    smooth = np.cumsum(rng.integers(-3, 4, (37, 53, 3)), axis=1) + 128
    for pixels in (smooth.clip(0, 255).astype(np.uint8), rng.integers(0, 256, (8, 200, 3))):
        for quality in (5, 60, 95):
            picture = PIL.Image.fromarray(pixels.astype(np.uint8)).convert(mode)
            options = {"subsampling": subsampling, "progressive": progressive, "quality": quality}
            data = encoded(picture, "JPEG", **options)
            expected = np.asarray(PIL.Image.open(io.BytesIO(data)))
            found = opened(data).pixels
            np.testing.assert_array_equal(found, expected.reshape(found.shape))


@pytest.mark.parametrize("kept", [0.3, 0.9, 0.999])
def test_a_cut_off_jpeg_is_refused(kept):
    rng = np.random.default_rng(1)
    data = encoded(PIL.Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)), "JPEG")
    with pytest.raises(ReadError, match="cut off or damaged"):
        opened(data[: int(len(data) * kept)])

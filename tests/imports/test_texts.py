"""Normalize calls, configs and Keras names, as people paste them."""

from __future__ import annotations

import numpy as np
import pytest

import normviz as nv
from normviz.errors import LimitError, ParameterError, ReadError
from normviz.imports import MOST_BYTES, read_normalization
from normviz.presets import PRESETS

PHOTO = np.random.default_rng(1).integers(0, 256, (6, 5, 3), dtype=np.uint8)

# preset: texts that say the same
SAME = {
    "imagenet": [
        "Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])",
        "Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225], inplace=False)",
        "Normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))",
        "Normalize(mean=[0.485 0.456 0.406], std=[0.229 0.224 0.225])",
        "Normalize(mean=[np.float64(0.485), 0.456, 0.406], std=[0.229, 0.224, 0.225])",
        "Normalize(mean=tensor([0.485, 0.456, 0.406]), std=tensor([.229, .224, .225]))",
        "v2.Normalize(IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)",
        "A.Normalize()",
        "Normalize([x / 255 for x in (123.675, 116.28, 103.53)], [58.395/255, .224, .225])",
        '{"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}',
        "torch",
        "DenseNet121",
    ],
    "clip": [
        "T.Normalize(timm.data.OPENAI_CLIP_MEAN, std=timm.data.OPENAI_CLIP_STD)",
    ],
    "half": [
        "A.Normalize(mean=(0.5,) * 3, std=(0.5,) * 3, p=1)",
        "Normalize(tuple(v / 255 for v in [127.5] * 3), (1 - 0.5, +0.5, 0.25 * 2))",
        (
            "x = T.Compose([T.Resize(256), T.ToTensor(),\n"
            "  T.Normalize((.5, .5, .5), (.5, .5, .5))])"
        ),
        'mode="tf"',
        "ResNet50V2",
        "from keras.applications.mobilenet_v2 import preprocess_input, MobileNetV2",
    ],
    "dpn": [
        "Normalize(np.array([124, 117, 104]) / 255, [1 / (.0167 * 255)] * 3)",
    ],
    "imagenet_255": [
        "dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)",
    ],
    "detectron2_std": [
        "mean=[103.53, 116.28, 123.675], std=[57.375, 57.12, 58.395], bgr_to_rgb=False",
    ],
    "detectron2": [
        (
            "img_norm_cfg = dict(\n"
            "  mean=[103.530, 116.280, 123.675], std=[1.0, 1.0, 1.0], to_rgb=False)"
        ),
    ],
    "efficientnet_lite": [
        ("MEAN_RGB = [127.0, 127.0, 127.0]\nSTDDEV_RGB = [128.0, 128.0, 128.0]"),
    ],
    "faster_rcnn": [
        ("_C.PIXEL_MEAN = [102.9801, 115.9465, 122.7717]\n_C.PIXEL_STD = [1., 1., 1.]  # BGR"),
    ],
    "kinetics": [
        "'mean': (0.43216, 0.394666, 0.37645), 'std': (0.22803, 0.22145, 0.216989)",
    ],
    "googlenet": [
        ("mean_value: 104\nmean_value: 117\nmean_value: 123\ncrop_size: 224"),
        "transform_param { mean_value: [104, 117, 123] }",
    ],
    "vgg": [
        "caffe",
        "keras.applications.vgg19",
        "ResNet50",
        "images = preprocess_input(images, mode='caffe')  # then model.predict",
    ],
}
PAIRS = [(text, key) for key, texts in SAME.items() for text in texts]


@pytest.mark.parametrize(("text", "key"), PAIRS, ids=[text[:40] for text, _ in PAIRS])
def test_texts_give_the_numbers_of_the_preset(text, key):
    found, preset = read_normalization("pasted", text), PRESETS[key]
    np.testing.assert_allclose(found.numbers.fraction_mean, preset.fraction_mean, atol=1e-9)
    np.testing.assert_allclose(found.numbers.fraction_std, preset.fraction_std, rtol=1e-9)
    # The pipeline makes what the network is fed, in the network's own channel order.
    fed = nv.METHODS["published"](preset=key, order="network").fit()(PHOTO)
    done = found.pipeline.fit()(nv.image_of(PHOTO))
    np.testing.assert_allclose(done, fed, rtol=1e-5, atol=1e-4)
    assert read_normalization("pasted", text.encode()).words == found.words


_M, _S = "[0.1, 0.2, 0.3]", "[0.4, 0.5, 0.6]"
ASSIGNED = [
    # Names that libraries know too: the text's own numbers count.
    f"IMAGENET_MEAN={_M}\nIMAGENET_STD={_S}\nt = T.Normalize(IMAGENET_MEAN, IMAGENET_STD)",
    f"mean = {_M}\nstd = {_S}\nt = transforms.Normalize(mean=mean, std=std)",
    f"MEAN: list[float] = {_M}  # of ours\nSTD = tuple({_S})\nA.Normalize(MEAN, STD)",
    f"mean, std = {_M}, {_S}\nNormalize(mean, std)",
    f"(mean, std) = stats = ({_M}, {_S})\nNormalize(*stats)\nNormalize(*[mean, std])",
    f"stats = ({_M}, {_S})\nmean, std = stats\nNormalize(mean, stats[1])",
    f"stats = {{'mean': {_M}, 'std': {_S}}}\nNormalize(**stats); Normalize(stats['mean'], {_S})",
    f"x = 3; mean = [51 / 255 * v for v in (.5, 1, 1.5)]; std = {_S}; Normalize(mean, std)",
    f"mean = [0.5] * 3\nmean = {_M}\nNormalize(mean, {_S})\nmean = [0.7]",
    f"M = np.array([25.5, 51, 76.5])\nM /= 255\nmean = M\nM = [0.5]\nNormalize(mean, {_S})",
    f"class Set:\n    MEAN = {_M}\n    IMAGENET_STD = {_S}\nNormalize(Set.MEAN, Set.IMAGENET_STD)",
    f"self.mean = {_M}\nmean = [1]\nNormalize(self.mean, std={_S})",
    f"def made():\n    return Normalize(mean, IMAGENET_STD)\nmean = {_M}\nIMAGENET_STD = {_S}",
    f">>> mean = [0.1,\n...         0.2, 0.3]\n>>> std = {_S}\n>>> Normalize(mean, std)",
    f"Blur(\n  mean=[9],\n)\nmean = {_M}\nBlur(\n  mean=[9],\n)\nNormalize(mean, {_S})",
    f'mean = {_M}\n"""\nmean = [9]\n"""\n# mean = [9]\nmean == [9]\nNormalize(mean, {_S})',
]


@pytest.mark.parametrize("text", ASSIGNED)
def test_names_have_the_values_that_the_text_assigns(text):
    found = read_normalization("", text)
    np.testing.assert_allclose(found.numbers.mean, [0.1, 0.2, 0.3])
    np.testing.assert_allclose(found.numbers.std, [0.4, 0.5, 0.6])
    assert found.numbers.scale == 1 and found.problems == ()


@pytest.mark.parametrize(
    "assignment",
    [
        "IMAGENET_MEAN = computed(images)",
        "IMAGENET_MEAN, other = computed(images)",
        "IMAGENET_MEAN = IMAGENET_MEAN_255 / 255",
        "IMAGENET_MEAN[0] = 0.5",
        "IMAGENET_MEAN //= 2",
        "IMAGENET_MEAN /= 2",
        "IMAGENET_MEAN: list = None or [0.5]",
        f"IMAGENET_MEAN = [{'0.5, ' * 1000}]",
        f"IMAGENET_MEAN = [{'-' * 600}1]",
    ],
    ids=lambda text: text[:40],
)
def test_what_the_text_assigns_unreadably_is_not_taken_from_a_library(assignment):
    call = "Normalize(IMAGENET_MEAN, IMAGENET_STD)"
    said = "it uses the variable IMAGENET_MEAN, whose value is not in the text"
    for text in (f"{assignment}\n{call}", f"IMAGENET_MEAN = 'x'\n{assignment}\n{call}"):
        with pytest.raises(ReadError, match=said):
            read_normalization("", text)


def test_words_say_what_was_found_and_how_it_was_converted():
    found = read_normalization("", "dict(mean=[103.53, 116.28, 123.675], std=[1.], to_rgb=False)")
    assert (
        "Given for BGR on 0–255: mean 103.53, 116.28, 123.675, std 1; here as RGB on 0–1: "
        "mean 0.4850, 0.4560, 0.4060, std 0.003922."
    ) in found.words
    assert "These are the numbers of “Detectron2 (BGR, mean only)”" in found.words
    albumentations = read_normalization("", "A.Normalize(mean=(0.5, 0.5, 0.5))")
    assert (
        "Albumentations' defaults: std 0.229, 0.224, 0.225; max_pixel_value 255.0."
        in albumentations.words
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Normalize((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))", "Folklore"),
        ("Normalize((0.406, 0.456, 0.485), (0.225, 0.224, 0.229))", "right for an image as OpenCV"),
        ("Normalize((0.408, 0.447, 0.470), (0.289, 0.274, 0.278))", "Read as B, G, R"),
        ("Normalize((-2.1, -2.0, -1.8), (4.4, 4.5, 4.4))", "inverse of a normalization"),
        ("Normalize((.5,), (.5,)) Normalize((.4,), (.5,))", "several Normalize that differ"),
        ("mean = [104, 117, 123]", "a mean and no std"),
        ("A.Normalize(mean=.5, std=.5, max_pixel_value=1023)", "no common image type"),
    ],
)
def test_what_looks_wrong_is_said(text, said):
    assert said in " ".join(read_normalization("", text).problems)


def test_one_number_fits_every_image():
    grey = read_normalization("", "transforms.Normalize((0.1307,), (0.3081,))")
    assert grey.numbers.channels == 1 and "“MNIST”" in grey.words
    fitted = nv.METHODS["dataset_zscore"]().fit(grey.numbers)
    assert fitted(PHOTO).shape == PHOTO.shape
    both = read_normalization("", "Normalize(mean=[0.1, 0.2, 0.3], std=[0.5])")
    assert both.numbers.std == (0.5,) * 3


def test_max_pixel_value_is_kept():
    wide = read_normalization("", "A.Normalize((.5,) * 3, (.25,) * 3, max_pixel_value=65535)")
    np.testing.assert_allclose(wide.numbers.fraction_mean, 0.5)
    assert "max_pixel_value 65535, taken as the white" in wide.words
    raw = read_normalization("", "A.Normalize((104, 117, 123), (1, 1, 1), max_pixel_value=1.0)")
    np.testing.assert_allclose(raw.numbers.fraction_mean * 255, [104, 117, 123])
    odd = read_normalization("", "A.Normalize((.5,) * 3, (.25,) * 3, max_pixel_value=127.5)")
    np.testing.assert_allclose(odd.numbers.fraction_mean, 0.25)  # 63.75 on 0–255


@pytest.mark.parametrize(
    "values",
    [
        "mean_value: [103.94,116.78,123.68]",
        "mean_value:\n[ 103.94, 116.78,\n 1.2368e2 ]",
        "mean_value: 103.94 mean_value: 116.78 mean_value: 123.68",
    ],
)
@pytest.mark.parametrize("scale", ["scale: 0.017", "scale: 1.7e-2"])
def test_caffes_mean_values_are_read_as_a_list_and_one_by_one(values, scale):
    found = read_normalization("", f"transform_param {{ {scale} {values} mirror: false }}")
    assert found.numbers.order == "BGR" and found.numbers.scale == 255
    fed = (PHOTO[..., ::-1] - np.array([103.94, 116.78, 123.68])) * 0.017
    np.testing.assert_allclose(found.pipeline.fit()(nv.image_of(PHOTO)), fed, rtol=1e-5, atol=1e-6)
    both = f"layer {{ {scale} {values} }} layer {{ {scale} {values} }}"
    assert read_normalization("", both).numbers == found.numbers


def test_the_order_can_be_given():
    text = "Normalize((0.408, 0.447, 0.470), (0.289, 0.274, 0.278))"
    found = read_normalization("", text, order="BGR")
    np.testing.assert_allclose(found.numbers.fraction_mean, [0.470, 0.447, 0.408])
    assert found.problems == () and "CenterNet" in found.words
    with pytest.raises(ParameterError, match="RGB or BGR; got 'GBR'"):
        read_normalization("", text, order="GBR")


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        ("EfficientNetB0", "divides by 255 and normalizes"),
        ("efficientnet_v2", "S, M and L do x/128 − 1"),
        ("MobileNetV3Large", "does x/127.5 − 1"),
        ("ConvNeXtTiny", "ImageNet's mean and std on 0–255"),
        ("RegNetX002", "RegNet divides by 255 in its first layer, and does not normalize"),
        ("from keras.applications.regnet import RegNetY320", "RegNet divides by 255"),
        ("ResNetRS50", "ResNet-RS divides by 255 and normalizes with ImageNet's mean and std"),
        ("resnet_rs", "ResNet-RS divides by 255"),
    ],
)
def test_architectures_that_normalize_inside_take_pixels_as_they_are(name, inside):
    found = read_normalization("", name)
    assert "takes pixels of 0–255 as they are" in found.words and inside in found.words
    np.testing.assert_allclose(nv.METHODS["dataset_zscore"]().fit(found.numbers)(PHOTO), PHOTO)
    np.testing.assert_array_equal(found.pipeline.fit()(nv.image_of(PHOTO)), PHOTO)


def test_torchvision_weights_bring_their_sizes():
    # print(ResNet50_Weights.DEFAULT.transforms()), torchvision 0.28
    text = """ImageClassification(
    crop_size=[224]
    resize_size=[232]
    mean=[0.485, 0.456, 0.406]
    std=[0.229, 0.224, 0.225]
    interpolation=InterpolationMode.BILINEAR
)"""
    found = read_normalization("", text)
    assert found.pipeline == nv.pipeline.KNOWN["resnet50_v2"].pipeline
    assert found.numbers.fraction_mean.tolist() == [0.485, 0.456, 0.406]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no mean and std were found"),
        ("resnet50 is nice, really", "no mean and std were found"),
        ("RegNetX003", "no mean and std were found"),
        ("ConvNeXt50", "no mean and std were found"),
        ("Normalize(mean=self.mean, std=self.std)", "it uses mean, whose value is not in the text"),
        ("Normalize(m, s)", "it uses the variable m"),
        ("Normalize(*stats)", r"unpacks a variable with \*"),
        ("Normalize(**stats)", r"unpacks a variable with \*\*"),
        ("stats = 3\nNormalize(*stats)", r"unpacks a variable with \*"),
        ("stats = [3]\nNormalize(**stats)", r"unpacks a variable with \*\*"),
        ("stats = ([3], [4])\nNormalize(stats[2], stats[0])", "it takes '2' of what has none"),
        (
            "OPENAI_CLIP_MEAN = [0.5\nNormalize(OPENAI_CLIP_MEAN, 1)",
            "it uses the variable OPENAI_CLIP_MEAN",
        ),
        ("a = b\nb = a\nNormalize(a, b)", "it uses the variable a"),
        ("mean, std = [0.5]\nNormalize(mean, std)", "it uses the variable mean"),
        ("Normalize([0.5], [0.5)", "is not closed|not written as Python"),
        ("Normalize(", "not closed"),
        ("Normalize()", "its mean is missing"),
        ("Normalize([0.5])", "its std is missing"),
        ("Normalize('a', 'b')", "its mean is a, not one number"),
        ("Normalize([True], [1])", "its mean is True"),
        ("Normalize([0.5] * 4, [0.5] * 4)", "4 mean and 4 std numbers"),
        ("Normalize([0.5] * 3, [0.5] * 2)", "3 mean and 2 std numbers"),
        ("Normalize([0.5] * 3, [0.5, 0, 0.5])", "a std of 0 would divide by zero"),
        ("Normalize([1e999], [1])", "its mean is inf"),
        ("Normalize([1e9], [1])", "beyond a million"),
        ("Normalize(open('x'), 1)", r"it calls open\(\), which is not run"),
        ("Normalize(__import__('os').system('true'), 1)", "which is not run"),
        ("Normalize((lambda: 1)(), 1)", "more than numbers|calls a function"),
        ("Normalize([0.5 ** 2], [1])", "other than"),
        ("Normalize([1 / 0], [1])", "no result"),
        ("Normalize(['a'] * 1000000000, 1)", "repeats a list too often"),
        ("Normalize(np.array(['aaa']) * 1000000000, 1)", "no number"),
        ("Normalize([x for x in (1,) if x], 1)", "loop that is not understood"),
        ("mean = [0.5, 0.5, 0.5]", "a mean and no std"),
        ("mean = [0.5, std = 3", "cannot be read"),
        ("mean_value: 104\nmean_value: 1.2.3", "no number above 0|2 mean"),
        ("mean_value: 104\nscale: 0", "no number above 0"),
        ("mean_value: [104, b, 1]", "no number above 0"),
        ("mean_value: []", "its mean is "),
        ("mean_value: [104, 117, 123, 124]", "4 mean"),
        ("A.Normalize(normalization='min_max')", "Use the method “min_max” instead"),
        ("A.Normalize(max_pixel_value=0)", "one number above 0"),
        ("{", "not JSON"),
        ("[" * 100000, "no mean and std"),
        ('{"a":' * 50000, "not JSON"),
        ('{"transform": {"__class_fullname__": "Blur"}}', "no Normalize among them"),
        ('{"mean": "x", "std": 1}', "its mean is x"),
        ('{"some": 1}', "no mean and std, but some"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(text, said):
    with pytest.raises(ReadError, match=said):
        read_normalization("pasted", text)


def test_sizes_are_bounded():
    with pytest.raises(LimitError, match="more than the 16 MB"):
        read_normalization("big.npy", bytes(MOST_BYTES + 1))
    with pytest.raises(LimitError, match="longer than a config"):
        read_normalization("big.txt", "a" * 300_000)
    with pytest.raises(ReadError, match="it is empty"):
        read_normalization("nothing", b"")
    with pytest.raises(ReadError, match="no text, and no mean image that is known"):
        read_normalization("cat.jpg", b"\xff\xd8\xff\xe0" + bytes(range(256)))


@pytest.mark.parametrize(
    "text",
    [
        "mean_" * 50_000,
        "1" * 260_000,
        "mean=" * 50_000,
        "a." * 130_000 + "Normalize(",
        "Normalize(" * 26_000,
        "mean" + " " * 250_000,
        "(" * 260_000,
        "Normalize(" + "[" * 7 + "1" + "".join(" for a in (1,)*16]" for _ in range(7)) + ", 1)",
        "Normalize(" + "-" * 3900 + "1, 1)",
        "Normalize(" + "1+" * 1990 + "1, 1)",
        "mean_value: " * 20_000,
        "mean_value: [" * 20_000,
        "mean_value: [1, 2]" * 14_000,
        "preprocess_input(" * 15_000,
        "m = 1\n" * 40_000 + "Normalize(m, x)",
        "a0=1\n"
        + "".join(f"a{n}=a{n - 1}+a{n - 1}\n" for n in range(1, 9_000))
        + "Normalize(a8999)",
        "m = " + "[" * 200_000 + "\nNormalize(m, m)",
        "m = 1 " + "+ (1 " * 700 + ")" * 700 + "\nNormalize(m, x)",
        "m0 = 1\n"
        + "".join(f"m{n} = {'-' * 200}m{n - 1}\n" for n in range(1, 40))
        + "Normalize(m39)",
        "m, " * 80_000 + "m = 1\nNormalize(m, x)",
        "m = " * 60_000 + "1\nNormalize(m, x)",
        ("m" * 79 + ", ") * 3_000 + "Normalize(m, x)",
        "m = [" + "(1, 2), " * 400 + "]\n" + "Normalize(m, m); " * 15_000,
    ],
    ids=lambda text: text[:12],
)
@pytest.mark.timeout(10)
def test_hostile_texts_take_no_time(text):
    with pytest.raises(ReadError):
        read_normalization("hostile", text)

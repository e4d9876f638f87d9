"""The operators that an exported program may use. Whatever is not named here is refused.

The namespace `aten` as a whole is no allow-list: `aten.from_file` maps files, and others reach storage that is not
theirs. These are the forward operators of vision networks, before decompositions.
"""

from __future__ import annotations

import re

_NAMES = """
conv1d conv2d conv3d convolution conv_transpose1d conv_transpose2d linear addmm mm bmm baddbmm matmul einsum
layer_norm group_norm rms_norm scaled_dot_product_attention embedding prelu
relu relu6 hardtanh gelu silu mish sigmoid log_sigmoid tanh softmax log_softmax hardswish hardsigmoid elu selu celu
leaky_relu softplus softsign threshold glu exp expm1 log log1p sqrt rsqrt square pow reciprocal abs neg sign sin cos erf
floor ceil round clamp clamp_min clamp_max
add sub mul div rsub floor_divide remainder maximum minimum where eq ne lt le gt ge logical_not logical_and logical_or
bitwise_not bitwise_and bitwise_or masked_fill addcmul addcdiv lerp
mean sum prod amax amin max min argmax argmin var std var_mean std_mean cumsum norm linalg_vector_norm logsumexp
max_pool1d max_pool2d max_pool2d_with_indices avg_pool1d avg_pool2d adaptive_avg_pool1d adaptive_avg_pool2d
adaptive_max_pool2d upsample_nearest2d upsample_bilinear2d upsample_bicubic2d pixel_shuffle pixel_unshuffle
channel_shuffle grid_sampler grid_sampler_2d affine_grid_generator im2col
view view_as reshape reshape_as _unsafe_view flatten unflatten squeeze unsqueeze permute transpose t movedim swapaxes
expand expand_as repeat cat concat stack split split_with_sizes chunk unbind select slice narrow index index_select
gather take_along_dim roll flip rot90 tril triu diagonal pad constant_pad_nd reflection_pad2d replication_pad2d unfold
contiguous clone alias detach lift_fresh_copy to _to_copy type_as
meshgrid arange zeros ones full empty_like zeros_like ones_like full_like new_zeros new_ones new_full eye linspace
scalar_tensor sym_size sym_numel
"""
NAMES = frozenset(_NAMES.split())
"""Names of `torch.ops.aten`; each may stand with `_` behind it too, which is the same in place."""

_VIEWS = """
view view_as reshape reshape_as _unsafe_view flatten unflatten squeeze unsqueeze permute transpose t movedim swapaxes
expand expand_as split split_with_sizes chunk unbind select slice narrow diagonal unfold contiguous alias detach to
type_as dropout
"""
VIEWS = frozenset(_VIEWS.split())
"""Those whose outputs may lie in the memory of their first argument."""

PYTHON = frozenset({"add", "sub", "mul", "floordiv", "mod", "neg", "eq", "ne", "lt", "le", "gt", "ge", "and_", "or_"})
"""Of Python's module `operator`, on numbers such as the batch's size."""

CHECKS = frozenset({"_assert_scalar", "_assert_tensor_metadata", "sym_constrain_range", "sym_constrain_range_for_size"})
"""What only checks: left out."""

DECOMPOSED = re.compile(
    r"(?:_?native_|cudnn_)?(?:_?batch_norm|layer_norm|group_norm)\w*|native_dropout|convolution_\w+"
)

_TARGET = re.compile(r"torch\.ops\.aten\.([A-Za-z0-9_]{1,60})\.([A-Za-z0-9_]{1,60})")
_PYTHON_TARGET = re.compile(r"_operator\.([a-z_]{1,20})")


def aten(target: str) -> tuple[str, str] | None:
    """Name and overload of `torch.ops.aten.<name>.<overload>`; None: it is no such target."""
    found = _TARGET.fullmatch(target)
    return None if found is None else (found[1], found[2])


def python(target: str) -> str | None:
    """Name of an allowed operator of Python on numbers; None: it is none."""
    found = _PYTHON_TARGET.fullmatch(target)
    return found[1] if found is not None and found[1] in PYTHON else None


def is_allowed(name: str) -> bool:
    """Whether a program may use `torch.ops.aten.<name>`."""
    return (name.removesuffix("_") if is_in_place(name) else name) in NAMES


def is_in_place(name: str) -> bool:
    """Whether the operator changes its first argument."""
    return name.endswith("_") and not name.endswith("__")

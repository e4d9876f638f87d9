"""One stage of Dynamic Prior Knowledge (ICLR 2023, 2206.06067; method sheet, section 3): the methods of `PriorStage`
are the paper's nouns in the paper's order.

Legend: B pictures, Cs and Ct channels of student and teacher, HxW map, p patch size, N = (H/p)(W/p) tokens, K of them
given by the teacher, D encoder width, E decoder width (D' in the paper).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from dpk_core.distill.losses import feature_mse
from dpk_core.distill.masking import TokenSplit, split_tokens
from dpk_core.distill.stitching import stitch, take_given, take_kept
from dpk_core.distill.vit import PatchEmbedding, Transformer, from_patches, initialise, position_table


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSizes:
    """Sizes of a stage's modules: width, depth and heads of encoders and decoder, and the patch size."""

    encoder_width: int
    encoder_depth: int
    encoder_heads: int
    decoder_width: int
    decoder_depth: int
    decoder_heads: int
    patch: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOutcome:
    """What one stage did in one step; `loss` is its feature loss, `rebuilt_BCHW` the decoder's teacher map."""

    loss: Tensor
    split: TokenSplit
    hybrid_BNE: Tensor
    rebuilt_BCHW: Tensor


class PriorStage(nn.Module):
    """Rebuilds the teacher's map from the student's tokens and the share of its own that the teacher hands over.

    Raises ValueError when the patch size does not divide the map.
    """

    encoder_positions_ND: Tensor
    decoder_positions_NE: Tensor

    def __init__(self, student_channels: int, teacher_channels: int, side: tuple[int, int], sizes: StageSizes) -> None:
        super().__init__()
        height, width = side
        if height % sizes.patch or width % sizes.patch:
            raise ValueError(f"patches of {sizes.patch}x{sizes.patch} do not tile a map of {height}x{width}")
        self.patch = sizes.patch
        self.grid = (height // sizes.patch, width // sizes.patch)
        self.tokens = self.grid[0] * self.grid[1]
        D, E = sizes.encoder_width, sizes.decoder_width
        self.student_embedding = PatchEmbedding(student_channels, D, sizes.patch)
        self.teacher_embedding = PatchEmbedding(teacher_channels, D, sizes.patch)
        self.student_encoder = Transformer(D, sizes.encoder_depth, sizes.encoder_heads)
        self.teacher_encoder = Transformer(D, sizes.encoder_depth, sizes.encoder_heads)
        self.to_decoder = nn.Linear(D, E, bias=False)
        self.decoder = Transformer(E, sizes.decoder_depth, sizes.decoder_heads)
        self.to_map = nn.Linear(E, teacher_channels * sizes.patch**2)
        self.register_buffer("encoder_positions_ND", position_table(self.tokens, D), persistent=False)
        self.register_buffer("decoder_positions_NE", position_table(self.tokens, E), persistent=False)
        for module in (self.student_encoder, self.teacher_encoder, self.decoder, self.to_map):
            module.apply(initialise)  # embeddings and W keep torch's default (method sheet, section 11)

    def forward(self, student_BCHW: Tensor, teacher_BCHW: Tensor, noise_BN: Tensor, given: int) -> StageOutcome:
        """One step on maps of one size; `noise_BN` decides which `given` tokens of each picture are the teacher's."""
        student_BND, teacher_BND = self.embed(student_BCHW, teacher_BCHW)
        split = split_tokens(noise_BN, given)
        student_BN_KD, teacher_BKD = self.encode(student_BND, teacher_BND, split)
        hybrid_BNE = self.stitch(student_BN_KD, teacher_BKD, split)
        rebuilt_BCHW = self.decode(hybrid_BNE)
        loss = feature_mse(rebuilt_BCHW, teacher_BCHW)  # over all positions, teacher-given ones too
        return StageOutcome(loss=loss, split=split, hybrid_BNE=hybrid_BNE, rebuilt_BCHW=rebuilt_BCHW)

    def embed(self, student_BCHW: Tensor, teacher_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Patches as tokens with their positions, BxNxD for student and teacher."""
        student_BND = self.student_embedding(student_BCHW) + self.encoder_positions_ND
        teacher_BND = self.teacher_embedding(teacher_BCHW) + self.encoder_positions_ND
        return student_BND, teacher_BND

    def encode(self, student_BND: Tensor, teacher_BND: Tensor, split: TokenSplit) -> tuple[Tensor, Tensor]:
        """Each encoder sees only its side's tokens: the student's Bx(N-K)xD at ~M, the teacher's BxKxD at M."""
        student_BN_KD = self.student_encoder(take_kept(student_BND, split))
        teacher_BKD = self.teacher_encoder(take_given(teacher_BND, split))
        return student_BN_KD, teacher_BKD

    def stitch(self, student_BN_KD: Tensor, teacher_BKD: Tensor, split: TokenSplit) -> Tensor:
        """The hybrid sequence BxNxE: both sides through one shared W, back at their places, with positions."""
        hybrid_BNE = stitch(self.to_decoder(teacher_BKD), self.to_decoder(student_BN_KD), split)
        return hybrid_BNE + self.decoder_positions_NE

    def decode(self, hybrid_BNE: Tensor) -> Tensor:
        """The teacher's map as rebuilt from the hybrid sequence."""
        return from_patches(self.to_map(self.decoder(hybrid_BNE)), self.grid, self.patch)

from jne._core import record as record
from jne.accuracy import bootstrap_r2 as bootstrap_r2
from jne.accuracy import noise_ceiling as noise_ceiling
from jne.accuracy import prediction_share as prediction_share
from jne.accuracy import r2_score as r2_score
from jne.accuracy import significant_voxels as significant_voxels
from jne.cortex import load_cortex as load_cortex
from jne.datasets import EncodingDataset as EncodingDataset
from jne.datasets import load_dataset as load_dataset
from jne.datasets import save_dataset as save_dataset
from jne.encoders import ResidualEncoder as ResidualEncoder
from jne.encoders import RidgeEncoder as RidgeEncoder
from jne.encoders import load_encoder as load_encoder
from jne.features import extract_features as extract_features
from jne.features import write_features as write_features
from jne.jacobians import jacobian as jacobian
from jne.jacobians import split_readout as split_readout
from jne.measures import crossfit_nonlinearity as crossfit_nonlinearity
from jne.measures import nonlinearity as nonlinearity
from jne.simulations import activation_network as activation_network
from jne.simulations import closed_form as closed_form
from jne.simulations import mixed_response as mixed_response
from jne.statistics import area_share as area_share
from jne.study import Study as Study
from jne.study import report as report
from jne.study import run_study as run_study

__version__: str

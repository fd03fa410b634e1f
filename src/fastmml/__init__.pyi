"""The public names as type checkers see them; ``__init__.py`` imports each when it is used."""

from fastmml._backend import backend as backend
from fastmml._backend import get_num_threads as get_num_threads
from fastmml._backend import set_num_threads as set_num_threads
from fastmml._backend import threads as threads
from fastmml._backend import use_backend as use_backend
from fastmml.contraction import einsum as einsum
from fastmml.distances import Neighbors as Neighbors
from fastmml.distances import kneighbors as kneighbors
from fastmml.distances import pairwise_distances as pairwise_distances
from fastmml.errors import ConvergenceError as ConvergenceError
from fastmml.errors import GraphFormatError as GraphFormatError
from fastmml.graph.formats import read_graph as read_graph
from fastmml.graph.formats import write_graph as write_graph
from fastmml.graph.graph import Graph as Graph
from fastmml.graph.katz import KatzResult as KatzResult
from fastmml.graph.katz import katz_centrality as katz_centrality
from fastmml.graph.local_pagerank import LocalPageRankResult as LocalPageRankResult
from fastmml.graph.local_pagerank import local_pagerank as local_pagerank
from fastmml.graph.pagerank import PageRankResult as PageRankResult
from fastmml.graph.pagerank import pagerank as pagerank
from fastmml.graph.rmat import rmat as rmat
from fastmml.graph.spectral import EigenvectorResult as EigenvectorResult
from fastmml.graph.spectral import HitsResult as HitsResult
from fastmml.graph.spectral import eigenvector_centrality as eigenvector_centrality
from fastmml.graph.spectral import hits as hits
from fastmml.least_squares import LstsqResult as LstsqResult
from fastmml.least_squares import lstsq as lstsq
from fastmml.linalg import gram as gram
from fastmml.linalg import matmul as matmul
from fastmml.orthogonal import Projection as Projection
from fastmml.orthogonal import QRResult as QRResult
from fastmml.orthogonal import gram_schmidt as gram_schmidt
from fastmml.orthogonal import orthogonality as orthogonality
from fastmml.orthogonal import project as project
from fastmml.orthogonal import qr as qr
from fastmml.systems import EighResult as EighResult
from fastmml.systems import change_of_basis as change_of_basis
from fastmml.systems import det as det
from fastmml.systems import eigh as eigh
from fastmml.systems import inv as inv
from fastmml.systems import solve as solve

__version__: str

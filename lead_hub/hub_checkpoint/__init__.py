"""A candidate on the Hub -> its files at one commit, only those that are needed, each with the bytes it should have."""

from lead_hub.hub_checkpoint.checkpoint_parts import PICKLES as PICKLES
from lead_hub.hub_checkpoint.checkpoint_parts import SETTINGS as SETTINGS
from lead_hub.hub_checkpoint.checkpoint_parts import fetch_settings as fetch_settings
from lead_hub.hub_checkpoint.checkpoint_parts import has_weights as has_weights
from lead_hub.hub_checkpoint.checkpoint_parts import weight_files as weight_files
from lead_hub.hub_checkpoint.file_download import check_disk as check_disk
from lead_hub.hub_checkpoint.file_download import fetch as fetch
from lead_hub.hub_checkpoint.file_download import missing as missing
from lead_hub.hub_checkpoint.pinned_commit import HubCache as HubCache
from lead_hub.hub_checkpoint.pinned_commit import HubCheckpoint as HubCheckpoint
from lead_hub.hub_checkpoint.pinned_commit import RemoteFile as RemoteFile
from lead_hub.hub_checkpoint.pinned_commit import default_hub_cache as default_hub_cache
from lead_hub.hub_checkpoint.pinned_commit import listed as listed
from lead_hub.hub_checkpoint.pinned_commit import pin as pin

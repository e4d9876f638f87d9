"""The data sets of this server: what lies under the data root, and what is known of each."""

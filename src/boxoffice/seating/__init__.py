"""The seats of a show as leases: the map, holds, and the claim that everything rests on."""

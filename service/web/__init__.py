"""Pages for people: HTML made on the server from the wire objects that programs get too, charts included."""

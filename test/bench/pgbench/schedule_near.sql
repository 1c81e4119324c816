SELECT cmdsched.schedule('do_nothing', '{"order_id": 42, "reason": "payment window elapsed", "note": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}', now() + random() * interval '1 second');

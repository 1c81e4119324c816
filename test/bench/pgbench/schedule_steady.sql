SELECT cmdsched.schedule('note_lateness', '{"order_id": 42, "reason": "payment window elapsed", "note": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}', now() + random() * interval '10 seconds');

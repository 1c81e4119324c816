-- Transforms.
CREATE OR REPLACE TRANSFORM FOR jsonb LANGUAGE ours (FROM SQL WITH FUNCTION ours.f(internal)); -- bad
CREATE TRANSFORM FOR jsonb LANGUAGE ours (FROM SQL WITH FUNCTION ours.f(internal));

-- Tables.
CREATE TABLE IF NOT EXISTS public.t (a text); -- bad
CREATE SCHEMA ours;
CREATE TABLE IF NOT EXISTS ours.t (a text);
CREATE TABLE public.t (a text);

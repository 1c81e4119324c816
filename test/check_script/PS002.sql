-- Functions that somebody else may have made.
CREATE OR REPLACE FUNCTION public.f() RETURNS void LANGUAGE c AS 'library'; -- bad
CREATE OR REPLACE PROCEDURE ours.f() LANGUAGE c AS 'library'; -- bad
CREATE FUNCTION public.g() RETURNS void LANGUAGE c AS 'library';
CREATE OR REPLACE FUNCTION public.g() RETURNS void LANGUAGE c AS 'library';
CREATE SCHEMA ours;
CREATE OR REPLACE FUNCTION ours.f() RETURNS void LANGUAGE c AS 'library';

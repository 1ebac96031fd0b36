-- Nobody else's for a moment.
LOCK TABLE public.auth_sessions IN ACCESS EXCLUSIVE MODE;

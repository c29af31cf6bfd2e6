"""Named reads about saved queries. A later row of a name wins; whoever saved it is told by pseudonym."""

from storage.reads.read import Read

READS = {
    "saved_queries": Read(
        """
        select s.name, s.sql, a.pseudonym, s.created_at
        from saved_queries s left join current_accounts a using (account)
        qualify row_number() over (partition by s.name order by s.created_at desc, s.saved_query_id desc) = 1
        order by s.name
        """
    ),
}

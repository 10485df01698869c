using GptFunctions.Data;

namespace GptFunctions.OAuth;

/// <summary>A client as operators see it in a list.</summary>
/// <param name="OpenSessions">Those that nobody ended; counted up to <see cref="ClientSearchStore.MostCounted"/>.</param>
internal sealed record ListedClient(Client Client, long OpenSessions);

/// <summary>Looks clients up for those on call.</summary>
internal sealed class ClientSearchStore(Database database)
{
    /// <summary>Where the count of a client's sessions stops: to count millions would take longer than anybody looks at the list.</summary>
    public const int MostCounted = 1000;

    private static readonly FilteredSql Search = new(
        $$"""
        SELECT {{ClientStore.Columns}},
               (SELECT count(*)
                FROM (SELECT
                      FROM gpt_sessions session
                      WHERE session.client_id = client.client_id AND session.revoked_at IS NULL
                      LIMIT {{MostCounted}}) counted)
        FROM (SELECT *
              FROM gpt_clients client
              WHERE (client.created_at, client.client_id) < (@before, @before_id) {filters}
              ORDER BY client.created_at DESC, client.client_id DESC
              LIMIT @count) client
        ORDER BY client.created_at DESC, client.client_id DESC
        """,
        ["client.client_id = @client_id", "(client.client_id = @text OR strpos(lower(client.name), lower(@text)) > 0)", "client.kind = @kind",
         "client.disabled_at IS NOT NULL", Client.IsUnchecked]);

    /// <summary>Clients before a place, the youngest first.</summary>
    /// <param name="text">An id, or a part of a name.</param>
    public async Task<IReadOnlyList<ListedClient>> SearchAsync(
        string? clientId, string? text, string? kind, bool isDisabled, bool isUnchecked, ListPlace before, int count)
    {
        var search = database.Report(Search.With(clientId is not null, text is not null, kind is not null, isDisabled, isUnchecked))
            .BindIfUsed("client_id", clientId).BindIfUsed("text", text).BindIfUsed("kind", kind)
            .Bind("before", before.At).Bind("before_id", before.Key).Bind("count", count);
        return await search.AllAsync(reader => new ListedClient(ClientStore.Read(reader), reader.GetInt64(ClientStore.ColumnCount)));
    }
}

using GptFunctions.Hosting;
using Microsoft.Extensions.Options;
using Npgsql;

namespace GptFunctions.Data;

/// <summary>
/// A notice that is sent is heard: by the feed of this process; where there is none, by a connection of the check's own. Notices leave nothing in the
/// database, and to every other process this kind says nothing.
/// </summary>
internal sealed class ChangeFeedCheck : ICheck
{
    private const string Kind = "echo";
    private const string Listen = "LISTEN gpt_changes";
    private static readonly Sql Send = new("SELECT pg_notify('gpt_changes', @notice)");
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);
    private readonly ChangeFeed feed;
    private readonly Database database;
    private readonly DatabaseSettings settings;
    private volatile Action<string?> hear = _ => { };

    public ChangeFeedCheck(ChangeFeed feed, Database database, IOptions<DatabaseSettings> settings)
    {
        (this.feed, this.database, this.settings) = (feed, database, settings.Value);
        feed.Subscribe(Kind, key => hear(key));
    }

    public string Name => "change_feed";

    public async Task RunAsync(Finding finding, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Patience);
        var id = Guid.NewGuid().ToString("N");
        if (feed.IsUsed)
        {
            await feed.FirstTry.WaitAsync(limit.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing); // right after the start
        }

        finding.Details["listening"] = feed.IsUsed ? feed.IsListening : null;
        if (feed is { IsUsed: true, IsListening: false })
        {
            finding.Say(CheckState.Degraded, "The connection that tells about changes is down (log 6001): revokes take up to five seconds.");
        }
        else if (!await (feed.IsUsed ? IsHeardByFeedAsync(id, limit.Token) : IsHeardAsync(id, limit.Token)))
        {
            finding.Say(CheckState.Degraded, "A notice that was sent is not heard: behind a pooler in transaction mode set DATABASE_LISTEN_URL.");
        }
    }

    private async Task<bool> IsHeardByFeedAsync(string id, CancellationToken cancellationToken)
    {
        var heard = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        hear = key => _ = key == id && heard.TrySetResult(); // every process hears the notices of all
        await SendAsync(id);
        try
        {
            await heard.Task.WaitAsync(cancellationToken);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private async Task<bool> IsHeardAsync(string id, CancellationToken cancellationToken)
    {
        var isHeard = false;
        await using var connection = new NpgsqlConnection(settings.ToListenConnectionString().ConnectionString);
        connection.Notification += (_, notice) => isHeard |= notice.Payload == $"{Kind} {id}";
        try
        {
            await connection.OpenAsync(cancellationToken);
            await using var listen = new NpgsqlCommand(Listen, connection);
            await listen.ExecuteNonQueryAsync(cancellationToken);
            await SendAsync(id);
            while (!isHeard)
            {
                await connection.WaitAsync(cancellationToken);
            }
        }
        catch (OperationCanceledException)
        {
            // Not within the time.
        }

        return isHeard;
    }

    private Task<bool> SendAsync(string id) => database.LookUp(Send).Bind("notice", $"{Kind} {id}").FirstAsync(_ => true);
}

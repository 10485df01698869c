using GptFunctions.Tokens;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace GptFunctions.Sessions;

/// <summary>Writes down which generations were used, beside the requests: at once, in as many statements as the database takes one after another.</summary>
internal sealed partial class UsedGenerationsWriter(
    UsedGenerations used, SessionStore store, TimeProvider clock, ILogger<UsedGenerationsWriter> logger) : BackgroundService
{
    private const int BatchSize = 1000;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);
    private bool isFailing;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            var isDone = await TryWriteAsync();
            var next = isDone ? used.WaitAsync(stoppingToken) : Task.Delay(Pause, clock, stoppingToken);
            await next.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await TryWriteAsync();
    }

    /// <summary>True when everything that was noted is written.</summary>
    private async Task<bool> TryWriteAsync()
    {
        try
        {
            while (used.IsPending)
            {
                var batch = used.Take(BatchSize);
                var held = await store.MarkUsedAsync([.. batch.Select(session => session.Key)], [.. batch.Select(session => session.Value)]);
                foreach (var session in batch.ExceptBy(held, session => session.Key))
                {
                    used.Remember(session);
                }

                isFailing = false;
                if (held.Count > 0)
                {
                    return false;
                }
            }

            return true;
        }
        catch (Exception error) when (error is not OutOfMemoryException) // whatever it is: it must not stop the host
        {
            if (!isFailing)
            {
                LogFailing(error.Message);
            }

            isFailing = true;
            return false;
        }
    }

    [LoggerMessage(2040, LogLevel.Warning, "Which tokens were used cannot be written down; trying again: {Reason}")]
    private partial void LogFailing(string reason);
}

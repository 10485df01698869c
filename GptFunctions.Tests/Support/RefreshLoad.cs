using System.Net;

namespace GptFunctions.Tests.Support;

/// <summary>
/// Clients that refresh without pause, each its own session, until stopped. When an answer does not come (the process died, the database is away) they
/// do what a good client does: wait a moment and present the same token again. What must never happen is recorded in <see cref="Faults"/>.
/// </summary>
internal sealed class RefreshLoad : IAsyncDisposable
{
    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(100);
    private readonly CancellationTokenSource stop = new();
    private readonly Func<HttpClient> pick;
    private readonly TestClient client;
    private readonly List<Task> workers = [];
    private int answered;

    private RefreshLoad(TestClient client, Func<HttpClient> pick)
    {
        this.client = client;
        this.pick = pick;
    }

    /// <summary>Refreshes that were answered with tokens.</summary>
    public int Answered => answered;

    public System.Collections.Concurrent.ConcurrentQueue<string> Faults { get; } = new();

    /// <param name="pick">The process for the next request.</param>
    /// <param name="pause">Between the requests of one client; null for none.</param>
    public static async Task<RefreshLoad> StartAsync(TestClient client, Func<HttpClient> pick, int clients, TimeSpan? pause = null)
    {
        var load = new RefreshLoad(client, pick);
        for (var number = 0; number < clients; number++)
        {
            var tokens = await new OAuthFlow(pick()).TokensAsync(client, $"user_load_{Guid.NewGuid():N}");
            load.workers.Add(Task.Run(() => load.WorkAsync(tokens["refresh_token"]!, pause)));
        }

        return load;
    }

    public async Task StopAsync()
    {
        await stop.CancelAsync();
        await Task.WhenAll(workers);
        Assert.Empty(Faults);
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        await Task.WhenAll(workers);
        stop.Dispose();
    }

    private async Task WorkAsync(string token, TimeSpan? pause)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                var answer = await new OAuthFlow(pick()).RefreshAsync(client, token);
                if (answer.Status == HttpStatusCode.OK)
                {
                    token = answer["refresh_token"]!;
                    Interlocked.Increment(ref answered);
                    await Task.Delay(pause ?? TimeSpan.Zero);
                    continue;
                }

                if (answer.Status != HttpStatusCode.ServiceUnavailable)
                {
                    Faults.Enqueue($"{(int)answer.Status} {answer.Text}");
                    return;
                }
            }
            catch (Exception error) when (error is HttpRequestException or TaskCanceledException or IOException or ObjectDisposedException)
            {
                // The process is gone: another one, or the next one, answers.
            }

            await Task.Delay(RetryPause);
        }
    }
}

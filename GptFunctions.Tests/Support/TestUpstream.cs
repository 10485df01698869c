using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using GptFunctions.Tests.Clients;

namespace GptFunctions.Tests.Support;

/// <summary>A company's API in a process of its own, on Node.js (Clients/upstream.mjs): it tells what reached it and misbehaves on demand.</summary>
internal sealed class TestUpstream : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private readonly Process process;
    private readonly HttpClient http = new();

    private TestUpstream(Process process, int port)
    {
        this.process = process;
        Url = $"http://127.0.0.1:{port}";
    }

    public string Url { get; }

    public static Task<TestUpstream> StartAsync() => StartAsync("upstream.mjs");

    /// <param name="script">Prints "ready PORT" when it listens.</param>
    public static async Task<TestUpstream> StartAsync(string script)
    {
        var started = await ClientPackages.StartAsync(script);
        var line = await started.StandardOutput.ReadLineAsync().WaitAsync(Patience);
        Assert.True(line?.StartsWith("ready ", StringComparison.Ordinal), line ?? await started.StandardError.ReadToEndAsync());
        return new TestUpstream(started, int.Parse(line!["ready ".Length..], CultureInfo.InvariantCulture));
    }

    /// <summary>One of the counters: requests, open, hungUp, received.</summary>
    public async Task<int> CountAsync(string counter)
    {
        using var state = JsonDocument.Parse(await http.GetStringAsync(new Uri(Url + "/control/state")));
        return state.RootElement.GetProperty(counter).GetInt32();
    }

    /// <summary>The correlation ids of the requests that came, in order.</summary>
    public async Task<IReadOnlyList<string>> ActionsAsync() =>
        JsonSerializer.Deserialize<string[]>(await http.GetStringAsync(new Uri(Url + "/control/actions")))!;

    /// <summary>Lets /events send its next piece.</summary>
    public async Task NextAsync() => (await http.GetAsync(new Uri(Url + "/control/next"))).Dispose();

    public async ValueTask DisposeAsync()
    {
        http.Dispose();
        process.Kill();
        await process.WaitForExitAsync();
        process.Dispose();
    }
}

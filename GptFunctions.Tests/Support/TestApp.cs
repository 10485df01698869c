using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Reflection;
using System.Security.Cryptography;
using GptFunctions.Data;
using GptFunctions.Health;
using GptFunctions.Hosting;
using GptFunctions.Statistics;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace GptFunctions.Tests.Support;

/// <summary>
/// The standalone host in this process, on a real port, with a database of its own and a clock that tests can move.
/// Development settings without files: keys are made for each app.
/// </summary>
internal sealed class TestApp : IAsyncDisposable
{
    private const int FirstPort = 11_000; // above 10080, which browsers refuse
    private const int Ports = 9_000;
    private static int lastPort = Environment.ProcessId; // two runs side by side begin elsewhere
    private readonly WebApplication app;
    private readonly bool ownsDatabase;

    private TestApp(WebApplication app, TestDatabase database, bool ownsDatabase, TestClock clock, Dictionary<string, string?> settings, TestLog log)
    {
        this.app = app;
        this.ownsDatabase = ownsDatabase;
        Database = database;
        Clock = clock;
        Settings = settings;
        Log = log;
        BaseUrl = settings["PUBLIC_BASE_URL"]!;
        Http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false })
        {
            BaseAddress = new Uri($"http://127.0.0.1:{settings["PORT"]}"),
        };
    }

    /// <summary>The issuer. Several apps may share it; <see cref="Http"/> talks to this one.</summary>
    public string BaseUrl { get; }

    public TestDatabase Database { get; }

    public TestClock Clock { get; }

    /// <summary>Everything the app logged.</summary>
    public TestLog Log { get; }

    /// <summary>The settings it runs with; what an <see cref="AppProcess"/> beside it needs to share its database and keys.</summary>
    public Dictionary<string, string?> Settings { get; }

    public IServiceProvider Services => app.Services;

    /// <summary>Follows no redirects and keeps no cookies.</summary>
    public HttpClient Http { get; }

    /// <param name="name">Names the database; the test class's name.</param>
    /// <param name="settings">Override the defaults; null removes one.</param>
    /// <param name="functions">Where the functions are; the program's by default.</param>
    public static async Task<TestApp> StartAsync(string name, Dictionary<string, string?>? settings = null, params Assembly[] functions)
    {
        var database = await TestDatabase.CreateAsync(name);
        return await StartAsync(database, ownsDatabase: true, settings, functions);
    }

    /// <summary>On a database that stays when this app is disposed.</summary>
    public static Task<TestApp> StartAsync(TestDatabase database, Dictionary<string, string?>? settings = null, params Assembly[] functions) =>
        StartAsync(database, ownsDatabase: false, settings, functions);

    /// <summary>Another replica, on a machine whose clock is wrong by so much; its time is the database's, as in production.</summary>
    public Task<TestApp> StartReplicaAsync(TimeSpan wrongBy, params (string Name, string? Value)[] instead) => StartReplicaAsync(instead, wrongBy);

    /// <summary>Another replica: the same database and settings, these apart, on a port of its own.</summary>
    public Task<TestApp> StartReplicaAsync(params (string Name, string? Value)[] instead) => StartReplicaAsync(instead, null);

    private Task<TestApp> StartReplicaAsync((string Name, string? Value)[] instead, TimeSpan? wrongBy)
    {
        var settings = new Dictionary<string, string?>(Settings, StringComparer.OrdinalIgnoreCase)
        {
            ["PORT"] = FreePort().ToString(System.Globalization.CultureInfo.InvariantCulture),
        };
        foreach (var (name, value) in instead)
        {
            settings[name] = value;
        }

        return StartAsync(Database, ownsDatabase: false, settings, [], wrongBy);
    }

    private static async Task<TestApp> StartAsync(
        TestDatabase database, bool ownsDatabase, Dictionary<string, string?>? settings, Assembly[] functions, TimeSpan? wrongBy = null)
    {
        var all = DefaultSettings(database.Url, FreePort());
        foreach (var (key, value) in settings ?? [])
        {
            all[key] = value;
        }

        var clock = new TestClock();
        clock.Advance(wrongBy ?? TimeSpan.Zero);
        var log = new TestLog();
        var host = StandaloneHost.Build(builder =>
        {
            // Above everything the machine's environment says.
            builder.Configuration.AddInMemoryCollection(all);
            if (wrongBy is null)
            {
                builder.Services.AddSingleton<TimeProvider>(clock);
            }
            else
            {
                builder.Services.AddSingleton(new DatabaseClock(clock));
            }

            Features.Add(builder);
            // The meters of the whole run are read, so each app would test itself among the statements that tests count.
            // Likewise what is written every second; tests that look at it write it themselves.
            Type[] watches = [typeof(SelfTestWatch), typeof(StatisticsWriter)];
            foreach (var watch in builder.Services.Where(service => watches.Contains(service.ImplementationType)).ToList())
            {
                builder.Services.Remove(watch);
            }

            builder.Services.AddSingleton<StatisticsWriter>();

            builder.Services.AddSingleton<ILoggerProvider>(log);
        }, functions);
        await host.StartAsync();
        if (host.Services.GetServices<IHostedService>().OfType<ChangeFeed>().FirstOrDefault() is { } feed)
        {
            await Task.WhenAny(feed.FirstTry, Task.Delay(Wait.Limit)); // it drops what is kept, also what a test has just had kept
        }

        return new TestApp(host, database, ownsDatabase, clock, all, log);
    }

    public static Dictionary<string, string?> DefaultSettings(string databaseUrl, int port) => new(StringComparer.OrdinalIgnoreCase)
    {
        ["AZURE_FUNCTIONS_ENVIRONMENT"] = "Development",
        ["DATABASE_URL"] = databaseUrl,
        ["PORT"] = port.ToString(System.Globalization.CultureInfo.InvariantCulture),
        ["PUBLIC_BASE_URL"] = $"http://127.0.0.1:{port}",
        ["SECRETS_PATH"] = "/nonexistent",
        ["OUTBOX_RELAY"] = "false", // events stay where tests count them
        ["AzureWebJobs.Purge.Disabled"] = "true", // tests move the clock by months
        ["AzureWebJobs.CloseActions.Disabled"] = "true", // at the full minute, among the statements that tests count
        ["AzureWebJobs.DispatchCountdowns.Disabled"] = "true", // tests say when
        ["AzureWebJobs.SendCallbacks.Disabled"] = "true",
        ["AzureWebJobs.ReplayWebhooks.Disabled"] = "true",
        ["AzureWebJobs.PurgeOnDemand.Disabled"] = "true",
        ["GPT_AUTHORIZE_LIMIT"] = "100000", // one address signs in for all
        ["SERVICE_KEY"] = "service-key-of-the-tests-0123456789",
        ["GPT_CLIENT_ID"] = "first-client",
        ["GPT_CLIENT_SECRET"] = Secret.New(),
        ["GPT_REDIRECT_URI"] = "https://chatgpt.com/aip/g-first/oauth/callback",
        ["GPT_EC_PRIVATE_KEY"] = SigningKey.Generate(),
        ["GPT_REFRESH_KEY"] = Convert.ToBase64String(RandomNumberGenerator.GetBytes(32)),
    };

    /// <summary>Asks for a path with the service key, or with another one.</summary>
    public async Task<HttpResponseMessage> GetAsOperatorAsync(string path, string? key = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(path, UriKind.Relative));
        request.Headers.Add(ServiceKey.Header, key ?? Settings["SERVICE_KEY"]);
        return await Http.SendAsync(request);
    }

    public T Get<T>()
        where T : notnull => Services.GetRequiredService<T>();

    /// <summary>
    /// A port that nobody else gets: each is given once, and none is among those that the system gives to connections which are opened meanwhile.
    /// </summary>
    public static int FreePort()
    {
        while (true)
        {
            var port = FirstPort + (Interlocked.Increment(ref lastPort) % Ports);
            using var listener = new TcpListener(IPAddress.Loopback, port);
            try
            {
                listener.Start();
                return port;
            }
            catch (SocketException)
            {
                // Somebody listens there.
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await app.StopAsync();
        await app.DisposeAsync();
        if (ownsDatabase)
        {
            await Database.DisposeAsync();
        }
    }
}

internal static class TestSettings
{
    /// <summary>All that is wrong with one settings class when only these settings are given.</summary>
    public static IReadOnlyList<string> Problems<T>(bool isProduction, params (string Name, string? Value)[] given)
        where T : class, ISettings, new()
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(given.Select(setting => KeyValuePair.Create(setting.Name, setting.Value)))
            .Build();
        try
        {
            new SettingsReader<T>(configuration, isProduction, () => new T(), NullLogger<SettingsReader<T>>.Instance).Create(Options.DefaultName);
            return [];
        }
        catch (OptionsValidationException refusal)
        {
            return [.. refusal.Failures];
        }
    }

    /// <summary>A copy in which these settings replace or join the others.</summary>
    public static Dictionary<string, string?> With(this Dictionary<string, string?> settings, IEnumerable<KeyValuePair<string, string?>> changes)
    {
        var copy = new Dictionary<string, string?>(settings, settings.Comparer);
        foreach (var (key, value) in changes)
        {
            copy[key] = value;
        }

        return copy;
    }
}

/// <summary>Collects log lines, exceptions included.</summary>
internal sealed class TestLog : ILoggerProvider, ILogger
{
    public ConcurrentQueue<string> Lines { get; } = new();

    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        Enqueue($"{logLevel} {eventId.Id} {formatter(state, exception)} {exception}");

    public void Dispose()
    {
    }

    private void Enqueue(string line)
    {
        Lines.Enqueue(line);
        RunLog.Lines.Enqueue(line);
    }
}

using System.Reflection;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace GptFunctions.Hosting;

/// <summary>
/// Runs the functions without the Azure Functions host: for development, tests, CI and a first look, and with <c>HOST=standalone</c> for what answers
/// HTTP in production, where that host's price is too high. HTTP on Kestrel, timers in a cron loop, RabbitMQ in a consumer, all in one process. It
/// mirrors the Functions host wherever a program could tell the difference.
/// </summary>
internal static class StandaloneHost
{
    /// <param name="addFeatures">Registers the features.</param>
    /// <param name="assemblies">Where the functions are; this program by default.</param>
    public static WebApplication Build(Action<IHostApplicationBuilder> addFeatures, params Assembly[] assemblies)
    {
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.Logging.ClearProviders();
        addFeatures(builder);
        AddConsole(builder);
        builder.AddSettings<StandaloneSettings>();
        // As a URL, because that is read when the server starts: an address that is none is listed among the other problems before that.
        builder.WebHost.UseUrls("http://" + StandaloneSettings.AddressOf(builder.Configuration));
        builder.WebHost.ConfigureKestrel(Limit);
        builder.Services.TryAddEnumerable(ServiceDescriptor.Singleton<MatcherPolicy, ListedMethodsPolicy>());

        var functions = FunctionCatalog.Find(assemblies.Length > 0 ? assemblies : [typeof(StandaloneHost).Assembly], builder.Configuration);
        if (!StandaloneSettings.IsChosen(builder.Configuration))
        {
            TimerFunctions.Add(builder, functions);
            RabbitMQFunctions.Add(builder, functions);
        }

        var app = builder.Build();
        HttpFunctions.Map(app, functions);
        return app;
    }

    /// <summary>What one caller may take up. Bodies have limits of their own where they are read; these are for what comes before that.</summary>
    private static void Limit(KestrelServerOptions options)
    {
        options.AddServerHeader = false;
        options.ResponseHeaderEncodingSelector = static _ => Encoding.Latin1; // octets above ASCII as an upstream sent them (obs-text, RFC 9110 5.5)
        var limits = options.Limits;
        limits.MaxRequestLineSize = 8 * 1024; // what other servers on the way take, too
        limits.MaxRequestHeadersTotalSize = 32 * 1024;
        limits.MaxRequestHeaderCount = 100;
        limits.MaxRequestBodySize = 100_000_000; // as the Functions host
        limits.RequestHeadersTimeout = TimeSpan.FromSeconds(15);
        limits.MinRequestBodyDataRate = new MinDataRate(bytesPerSecond: 240, gracePeriod: TimeSpan.FromSeconds(5));
        limits.MinResponseDataRate = new MinDataRate(bytesPerSecond: 240, gracePeriod: TimeSpan.FromSeconds(5));
        limits.KeepAliveTimeout = TimeSpan.FromSeconds(130); // longer than a proxy in front keeps an idle connection: the proxy shall end it
        limits.MaxConcurrentConnections = 5000;
    }

    private static void AddConsole(WebApplicationBuilder builder)
    {
        if (builder.Environment.IsDevelopment())
        {
            builder.Logging.AddSimpleConsole(options =>
            {
                options.SingleLine = true;
                options.TimestampFormat = "HH:mm:ss.fff ";
            });
        }
        else
        {
            builder.Logging.AddJsonConsole(options =>
            {
                options.UseUtcTimestamp = true;
                options.TimestampFormat = "yyyy-MM-dd'T'HH:mm:ss.fff'Z'";
                options.IncludeScopes = true; // the correlation id, and the trace when there is one
            });
        }
    }
}

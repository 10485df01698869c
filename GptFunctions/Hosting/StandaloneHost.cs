using System.Globalization;
using System.Reflection;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace GptFunctions.Hosting;

/// <summary>What only the standalone host needs to know.</summary>
internal sealed class StandaloneSettings : ISettings
{
    public const int DefaultPort = 7071;

    [Setting("PORT", 1, 65535, Meaning = "port of the standalone host (the Functions host has its own)")]
    public int Port { get; set; } = DefaultPort;
}

/// <summary>
/// Runs the functions without the Azure Functions host: for development, tests, CI and a first look. HTTP on Kestrel,
/// timers in a cron loop, RabbitMQ in a consumer, all in one process and on the loopback interface only. It mirrors the
/// Functions host wherever a program could tell the difference.
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
        // As a URL, because that is read when the server starts: a port that is none is listed among the other problems before that.
        var isPort = int.TryParse(builder.Configuration["PORT"], CultureInfo.InvariantCulture, out var port);
        builder.WebHost.UseUrls($"http://127.0.0.1:{(isPort ? port : StandaloneSettings.DefaultPort)}");
        builder.WebHost.ConfigureKestrel(options =>
        {
            options.AddServerHeader = false;
            options.ResponseHeaderEncodingSelector = static _ => Encoding.Latin1; // octets above ASCII as an upstream sent them (obs-text, RFC 9110 5.5)
        });
        builder.Services.TryAddEnumerable(ServiceDescriptor.Singleton<MatcherPolicy, ListedMethodsPolicy>());

        var functions = FunctionCatalog.Find(assemblies.Length > 0 ? assemblies : [typeof(StandaloneHost).Assembly], builder.Configuration);
        TimerFunctions.Add(builder, functions);
        RabbitMQFunctions.Add(builder, functions);

        var app = builder.Build();
        HttpFunctions.Map(app, functions);
        return app;
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
